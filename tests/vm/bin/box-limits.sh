. /vm/lib.sh
dir=/sys/fs/cgroup$(group_of self)
expect "a limited service in the box has a cgroup below it" "$dir" /sys/fs/cgroup/box/horust/limits.service
expect "its cpu.max is in force" "$(cat $dir/cpu.max)" "50000 100000"
expect "its memory.max is in force" "$(cat $dir/memory.max)" 33554432
expect "Horust has moved within the box" "$(group_of 1)" /box/horust/init
