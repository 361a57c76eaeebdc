. /vm/lib.sh
mkdir /sys/fs/cgroup/namespace
echo 0 > /sys/fs/cgroup/namespace/cgroup.procs
# The shell is what `docker run --init` puts before Horust.
/usr/bin/unshare --cgroup --mount sh -c '
    umount /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    horust --services-path /vm/services/namespace
    cat /proc/self/cgroup > /tmp/after'
expect "all have moved back at the end" "$(cat /tmp/after)" 0::/
