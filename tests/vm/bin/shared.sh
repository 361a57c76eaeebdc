. /vm/lib.sh
dir=/sys/fs/cgroup/shared
mkdir $dir
echo 0 > $dir/cgroup.procs
horust --services-path /vm/services/shared
expect "nothing of Horust is left in the shared cgroup" "$(find $dir -mindepth 1 -type d)" ""
