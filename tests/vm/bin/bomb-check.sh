. /vm/lib.sh
wait_for "[ -e /tmp/triggered ]"
wait_for "[ ! -e /sys/fs/cgroup/horust/bomb.service ]" && ok "the stop ends the fork bomb"
