. /vm/lib.sh
dir=/sys/fs/cgroup/box
mkdir $dir
echo 48M > $dir/memory.max
unshare -p -f --mount-proc sh -c "echo 0 > $dir/cgroup.procs; exec horust --services-path /vm/services/box"
expect "nothing of Horust is left in the box" "$(find $dir -mindepth 1 -type d)" ""
expect "the box hands out no controllers any more" "$(cat $dir/cgroup.subtree_control)" ""
