# Words of the checks. `xtask/src/vm.rs` waits for each line that they print.

ok() { echo "ok $1"; }

# NAME IS WANTED
expect() {
    if [ "$2" = "$3" ]; then ok "$1"; else echo "not ok $1: \"$2\", not \"$3\""; fi
}

# Waits until the condition holds.
wait_for() {
    for _ in $(seq 300); do
        if eval "$1"; then return 0; fi
        sleep 0.1
    done
    echo "not ok never: $1"
    return 1
}

group_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }
