#!/bin/bash
# Runs inside the guest (see README.md): dsn against a real kernel's cpufreq, hwmon, powercap and power_supply.
# /work holds: dsn, net.safetensors, family.json, here.json, vmrapl.ko (optional). Prints what it does and PASS or FAIL per
# claim. dvfs_check.sh [PART...]: only these (the names of the functions part_*). Few programs are started: each takes long under emulation.
cd /work || exit 1
insmod() { "$VM_BUSYBOX" insmod "$@"; }
modprobe() { "$VM_BUSYBOX" modprobe "$@"; }
cpufreq=/sys/devices/system/cpu/cpufreq
state=/var/lib/dsn/frequencies.json
failures=0
mkfifo /run/nothing; exec 9<>/run/nothing # reading it takes time and nothing else
pause() { read -rt "$1" -u 9; }
now() { read -r REPLY <"$1" || REPLY="unreadable"; } 2>/dev/null
say() { printf '\n== %s\n' "$*"; }
check() { # check CLAIM COMMAND...
    local claim=$1; shift
    if "$@"; then echo "PASS $claim"; else echo "FAIL $claim"; failures=$((failures + 1)); fi
}
port() { printf "\\x$(printf %02x "$2")" | dd of=/dev/port bs=1 seek=$(($1)) conv=notrunc status=none; }
settings() { # all that dsn may touch
    local p line
    for p in policy0 policy2; do
        line=$p
        for f in scaling_governor scaling_min_freq scaling_max_freq; do now $cpufreq/$p/$f; line="$line $REPLY"; done
        echo "$line"
    done
    now $cpufreq/ondemand/up_threshold; line="ondemand/up_threshold $REPLY"
    now $cpufreq/schedutil/rate_limit_us; echo "$line, schedutil/rate_limit_us $REPLY"
}
profile() { # profile CLUSTER FLAGS...: every operating point of the cluster, quickly; RUN=exec: in place of this shell
    local cluster=$1; shift
    ${RUN:-} ./dsn profile --supernet net.safetensors --cluster "$cluster" --levels family.json --no-units --threads 1 -w 0 -r 5 --min-time 100ms --max-time 100ms --patience 0s \
        --dvfs control --energy off --out "lut-$cluster.json" "$@"
}
watch() { # watch POLICY FILE FILE: what the kernel shows of a policy, every 50 ms
    local a b
    while :; do
        read -r a <$cpufreq/policy$1/$2; read -r b <$cpufreq/policy$1/$3; echo "$a $b"; pause 0.05
    done >"seen-$1"
}
interrupted() { # interrupted SIGNAL: a run that gets it while the second point is measured
    : >log
    RUN=exec profile little --min-time 3s --max-time 3s >log 2>&1 & # so that a signal meets the tool
    local pid=$!
    for ((i = 0; i < 600; i++)); do [[ $(<log) == *"600 MHz"* ]] && break; pause 0.1; done
    echo "when it comes:"; settings
    kill "-$1" $pid; wait $pid 2>/dev/null
}

uname -a
[ -e vmrapl.ko ] && insmod vmrapl.ko wrap_uj=2000000
say "the settings that must come back: governors with their tunables"
echo ondemand >$cpufreq/policy0/scaling_governor
echo 77 >$cpufreq/ondemand/up_threshold
echo 1234 >$cpufreq/schedutil/rate_limit_us
before=$(settings); echo "$before"

part_doctor() {
say "dsn doctor"
./dsn doctor
}
part_opps() {
say "every operating point, read back; normal exit"
for cluster in little big; do
    [ $cluster = little ] && p=0 && points="400000 600000 800000 1000000 1200000"
    [ $cluster = big ] && p=2 && points="800000 1200000 1600000 2000000 2400000"
    watch $p scaling_governor scaling_cur_freq & w=$!
    profile $cluster >log 2>&1; tail -n 2 log
    kill $w; wait $w 2>/dev/null
    sort "seen-$p" | uniq -c
    for f in $points; do check "policy$p was at $f under userspace" grep -qx "userspace $f" "seen-$p"; done
done
check "normal exit: all as before" [ "$(settings)" = "$before" ]
check "normal exit: no state file is left" [ ! -e $state ]
}
part_term() {
say "SIGTERM in the middle"
interrupted TERM; status=$?
tail -n 2 log
check "exit status 143" [ $status = 143 ]
check "SIGTERM: all as before" [ "$(settings)" = "$before" ]
}
part_kill() {
say "SIGKILL in the middle, then dsn restore"
interrupted KILL
check "SIGKILL: the state file is there" [ -s $state ]
check "SIGKILL: policy0 is left at userspace" grep -qx userspace $cpufreq/policy0/scaling_governor
./dsn restore; check "dsn restore: exit status 0" [ $? = 0 ]
check "dsn restore: all as before" [ "$(settings)" = "$before" ]
check "dsn restore: the state file is gone" [ ! -e $state ]
}
part_energy() {
say "energy: the integral of the powers set, for the ACPI meter, RAPL (wrapping at 2 J) and the battery"
for p in policy0 policy2; do echo userspace >$cpufreq/$p/scaling_governor; done
echo 800000 >$cpufreq/policy0/scaling_setspeed; echo 1600000 >$cpufreq/policy2/scaling_setspeed
port 0x8b 4; cat /sys/class/thermal/thermal_zone0/temp >/dev/null; sleep 1 # unplug the mains
# 0.5 W, 20 c + c^3/8 mW per cluster of c * 100 MHz, 0.1 W per step of the knob
base=$(awk 'BEGIN { for (i = 1; i <= 2; i++) { c = i == 1 ? 8 : 16; w += 20 * c + int(c * c * c / 8) }; print (w + 500) / 1000 }')
echo "constant: $base W; the step: 3 W more for a while"
./dsn doctor --measure 4s --json >constant.json
# The knob is turned by one process that is there before, once the meters run, and turned back well before they end: a process
# started for each turn takes a second here, and when within it the knob turned would not be known.
cat >turn.py <<'PY'
import os, time
port = os.open("/dev/port", os.O_WRONLY)
def turn(value):
    before = time.monotonic(); os.pwrite(port, bytes([value]), 0x8A); return before, time.monotonic()
while "measuring" not in open("step.log").read(): time.sleep(0.1)
time.sleep(3); on = turn(30); time.sleep(4); off = turn(0)
print(off[0] - on[1], off[1] - on[0])
PY
: >step.log
python3 turn.py >step-times & knob=$!
./dsn doctor --measure 14s --json >step.json 2>step.log & doctor=$!
wait $knob; check "the step ended before the measurement" kill -0 $doctor
wait $doctor
python3 - "$base" <<'PY' || failures=$((failures + 1))
import json, sys
base, bad = float(sys.argv[1]), 0
shortest, longest = map(float, open("step-times").read().split())  # between the two turns, as far as that is known
for name, extra, unsure in (("constant.json", 0, 0), ("step.json", 1.5 * (shortest + longest), 1.5 * (longest - shortest))):
    for m in json.load(open(name))["meters"]:
        if m["energy_j"] is None:
            print("FAIL", name, m["id"], m["energy_j_reason"]); bad = 1; continue
        expected = base * m["seconds"] + extra
        # Where in a period of a sampled sensor each of the two turns fell is not known, nor how old the value was that it gave then.
        # The stand-in for RAPL counts in steps of 10 ms.
        allowed = 0.005 * expected + unsure + (3.0 * (2 * m["period_s"] if m["kind"] != "counter" else 0.02) if extra else 0)
        ok = abs(m["energy_j"] - expected) <= allowed
        bad |= not ok
        print("PASS" if ok else "FAIL", f"{name} {m['id']} ({m['kind']}): {m['energy_j']:.3f} J of {expected:.3f} J set, "
              f"{100 * (m['energy_j'] / expected - 1):+.2f} %, {m['seconds']:.2f} s, {m['samples']} samples, {m['failed']} failed, "
              f"resolution {m['resolution_j']:.3f} J, allowed +-{allowed:.3f} J")
sys.exit(bad)
PY
}
part_failing() {
say "a meter that fails (ENODATA)"
port 0x8b 5; ./dsn doctor >err; grep -A1 ' acpi:' err
check "it says that the sensor gives no value" grep -q "acpi: .*gives no value now" err
port 0x8b 0
echo ondemand >$cpufreq/policy0/scaling_governor; echo 77 >$cpufreq/ondemand/up_threshold
echo schedutil >$cpufreq/policy2/scaling_governor
}
part_advice() {
say "advice: every CPU of policy2 offline (EBUSY)"
echo 0 >/sys/devices/system/cpu/cpu2/online; echo 0 >/sys/devices/system/cpu/cpu3/online
profile big --platform here.json 2>&1 | tee err
check "it says that they are offline" grep -q "every CPU of this policy is offline" err
echo 1 >/sys/devices/system/cpu/cpu2/online; echo 1 >/sys/devices/system/cpu/cpu3/online
say "advice: read-only /sys (EROFS)"
mount -o remount,ro /sys
profile little 2>&1 | tee err
check "it says read-only" grep -q "read-only file system" err
mount -o remount,rw /sys
say "advice: not root (EACCES)"
setpriv --reuid=65534 --regid=65534 --clear-groups ./dsn profile --supernet net.safetensors --cluster little --dvfs control --no-units --levels family.json --out /tmp/x.json 2>&1 | tee err
check "it says permission denied, and to run as root" grep -q "run as root" err
say "advice: a policy that is not there (ENOENT)"
sed 's/policy0/policy7/' here.json >elsewhere.json
profile little --platform elsewhere.json --out x.json 2>&1 | tee err
check "it says no such file, and names knob" grep -q '"knob"' err
}
part_cap() {
say "the firmware caps policy0 at 800 MHz"
port 0x87 2; cat /sys/class/thermal/thermal_zone0/temp >/dev/null; sleep 1
cat $cpufreq/policy0/bios_limit $cpufreq/policy0/scaling_max_freq
profile little 2>&1 | grep "the kernel gave" | tee capped
check "the two frequencies above the cap are told" [ "$(grep -c "the kernel gave" capped)" = 2 ]
port 0x87 0; cat /sys/class/thermal/thermal_zone0/temp >/dev/null; sleep 1
}
part_limits() {
say "governor userspace not there: limits are moved instead, inside a limit of the user's"
for p in policy0 policy2; do echo schedutil >$cpufreq/$p/scaling_governor; done
modprobe -r cpufreq_userspace; cat $cpufreq/policy0/scaling_available_governors
echo 1000000 >$cpufreq/policy0/scaling_max_freq
before=$(settings); echo "$before"
watch 0 scaling_min_freq scaling_max_freq & w=$!
profile little 2>&1 | grep -e "asked for" -e "frequency set"
kill $w; wait $w 2>/dev/null
sort seen-0 | uniq -c
for f in 400000 600000 800000 1000000; do check "minimum = maximum = $f was seen" grep -qx "$f $f" seen-0; done
check "limits: all as before" [ "$(settings)" = "$before" ]
echo 1200000 >$cpufreq/policy0/scaling_max_freq
modprobe cpufreq_userspace
}
part_thief() {
say "somebody takes the governor away in the middle, again and again (EINVAL)"
(for ((i = 0; i < 20; i++)); do pause 0.5; echo schedutil >$cpufreq/policy0/scaling_governor; done) & thief=$!
profile little --min-time 2s --max-time 2s >log 2>&1; status=$?; kill $thief 2>/dev/null; wait $thief 2>/dev/null
tail -n 2 log
check "the run takes it back and ends well" [ $status = 0 ]
}
part_again() {
say "SIGKILL, then another run instead of dsn restore"
echo schedutil >$cpufreq/policy0/scaling_governor
before=$(settings)
interrupted KILL
profile little --resume >log 2>&1; tail -n 2 log
check "the second run resumes" grep -q reused log
check "after both: all as before the first" [ "$(settings)" = "$before" ]
}

[ $# -gt 0 ] || set -- doctor opps term kill energy failing advice cap limits thief again
for part in "$@"; do "part_$part"; done

say "$failures failures"
exit $((failures > 0))
