. /vm/lib.sh
wait_for "[ -e /tmp/ticks ] && [ -e /tmp/asked ]"
date -s "2001-02-03 04:05:06" > /dev/null
before=$(wc -l < /tmp/ticks)
wait_for "[ \$(wc -l < /tmp/ticks) -ge $((before + 5)) ]" && ok "restarts go on after the clock was set back"
before=$(wc -l < /tmp/asked)
wait_for "[ \$(wc -l < /tmp/asked) -ge $((before + 5)) ]" && ok "checks go on after the clock was set back"
echo the clock was set back
touch /tmp/looked
