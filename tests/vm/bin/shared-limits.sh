. /vm/lib.sh
expect "the tree has a cgroup without limits" "$(group_of self)" /shared/horust/limits.service
