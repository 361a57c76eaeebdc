. /vm/lib.sh
dir=/sys/fs/cgroup$(group_of self)
expect "a service with limits has a cgroup" "$dir" /sys/fs/cgroup/horust/limits.service
expect "cpu.max is in force" "$(cat $dir/cpu.max)" "25000 100000"
expect "memory.max is in force" "$(cat $dir/memory.max)" 67108864
expect "memory.oom.group is set" "$(cat $dir/memory.oom.group)" 1
expect "pids.max is in force" "$(cat $dir/pids.max)" 8
expect "nobody watches what the kernel limits" "$(cat /proc/1/task/*/comm | grep -c memory)" 0
n=0
while [ $n -lt 100000 ]; do n=$((n + 1)); done
if [ "$(sed -n 's/^nr_throttled //p' $dir/cpu.stat)" -gt 0 ]; then ok "a busy loop is throttled"; fi
sh -c 'for n in 1 2 3 4 5 6 7 8 9; do sleep 1 & done' 2> /tmp/forks
case $(cat /tmp/forks) in *"can't fork"*) ok "one process too many can't be forked" ;; esac
