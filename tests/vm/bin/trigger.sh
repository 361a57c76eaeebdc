. /vm/lib.sh
dir=/sys/fs/cgroup/horust/bomb.service
wait_for "[ -e $dir/pids.current ] && [ \$(cat $dir/pids.current) -ge 38 ]" && ok "the fork bomb is at its limit"
echo 1 > /tmp/triggered
exit 1
