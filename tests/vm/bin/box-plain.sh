. /vm/lib.sh
wait_for '[ "$(group_of self)" = /box/horust/init ]' && ok "services without limits have moved with it"
