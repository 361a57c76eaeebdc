. /vm/lib.sh
wait_for "[ -e /sys/fs/cgroup/horust ]"
expect "a service without limits stays in Horust's cgroup" "$(group_of self)" /
expect "Horust stays in the root" "$(group_of 1)" /
