. /vm/lib.sh
dir=/sys/fs/cgroup$(group_of self)
expect "a limited service in a cgroup namespace has a cgroup" "$dir" /sys/fs/cgroup/horust/limits.service
expect "its pids.max is in force" "$(cat $dir/pids.max)" 20
# Two shells and Horust.
expect "who started Horust has moved with it" "$(wc -l < /sys/fs/cgroup/horust/init/cgroup.procs)" 3
