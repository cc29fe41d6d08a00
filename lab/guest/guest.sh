# Third stage, in the final root: runs the one scenario, hands its exit code back and switches the machine off.
. /run/lab/boot.env
export PATH=/opt/host-node:$PATH LAB_OUT LAB_REPO LAB_PROGRAM
hostname guest
ip link set lo up
output=$(echo $LAB_OUTPUT_DEVICE)
stty -F "$output" raw -echo 2>/dev/null
cd "$LAB_REPO" || exit 1
setsid -w node --disable-warning=ExperimentalWarning "$LAB_DRIVER" "$LAB_SCENARIO" </dev/null >"$output" 2>&1
echo $? >/run/lab/exit-code
sync
echo o >/proc/sysrq-trigger
sleep 60
