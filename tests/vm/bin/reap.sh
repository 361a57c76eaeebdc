. /vm/lib.sh
for _ in $(seq 20); do (sh -c 'sleep 0.1; exit 3' &) done
wait_for "! grep -q 'sleep 0.1' /proc/[0-9]*/cmdline 2> /dev/null"
wait_for "! grep -q ') Z 1 ' /proc/[0-9]*/stat 2> /dev/null" && ok "orphans are reaped"
