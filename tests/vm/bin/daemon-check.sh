. /vm/lib.sh
wait_for "[ -s /tmp/daemon ]"
wait_for "[ ! -e /proc/$(cat /tmp/daemon) ]" && ok "a daemonised process ends with its service"
wait_for "[ ! -e /sys/fs/cgroup/horust/daemon.service ]" && ok "its cgroup is removed"
