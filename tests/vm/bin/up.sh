# Up until it is told to go.
trap 'echo ok down; exit 0' TERM
echo ok up
while true; do sleep 1; done
