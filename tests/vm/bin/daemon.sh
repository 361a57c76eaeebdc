(setsid sh -c 'trap "" TERM HUP; echo $$ > /tmp/daemon; while true; do sleep 1; done' &)
until [ -s /tmp/daemon ]; do sleep 0.05; done
