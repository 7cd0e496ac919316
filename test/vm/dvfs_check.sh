#!/bin/bash
# Runs inside the guest (see README.md): dsn against a real kernel's cpufreq, hwmon, powercap and power_supply.
# /work holds: dsn, net.safetensors, vmrapl.ko (optional). Prints what it does and PASS or FAIL per claim.
cd /work || exit 1
insmod() { "$VM_BUSYBOX" insmod "$@"; }
modprobe() { "$VM_BUSYBOX" modprobe "$@"; }
cpufreq=/sys/devices/system/cpu/cpufreq
state=/var/lib/dsn/frequencies.json
failures=0
say() { printf '\n== %s\n' "$*"; }
check() { # check CLAIM COMMAND...
    local claim=$1; shift
    if "$@"; then echo "PASS $claim"; else echo "FAIL $claim"; failures=$((failures + 1)); fi
}
port() { printf "\\x$(printf %02x "$2")" | dd of=/dev/port bs=1 seek=$(($1)) conv=notrunc status=none; }
settings() { # one line per policy
    for p in policy0 policy2; do
        echo "$p $(cat $cpufreq/$p/scaling_governor 2>&1) $(cat $cpufreq/$p/scaling_min_freq 2>&1)-$(cat $cpufreq/$p/scaling_max_freq 2>&1)"
    done
    echo "ondemand/up_threshold $(cat $cpufreq/ondemand/up_threshold 2>&1)," \
        "schedutil/rate_limit_us $(cat $cpufreq/schedutil/rate_limit_us 2>&1)"
}
profile() { # profile CLUSTER FLAGS...: every operating point of the cluster, quickly
    local cluster=$1; shift
    ./dsn profile --supernet net.safetensors --cluster "$cluster" --threads 1 --random-levels 0 -w 1 -r 3 --min-time 0ms --max-time 1ms \
        --dvfs control --energy off --out "lut-$cluster.json" "$@"
}
watch() { # frequencies as the kernel shows them, every 50 ms, into a file
    while :; do
        echo "$(cat $cpufreq/policy$1/scaling_governor) $(cat $cpufreq/policy$1/scaling_cur_freq)"; sleep 0.05
    done >"seen-$1" 2>/dev/null
}
seen() { # seen POLICY GOVERNOR KHZ...: every one of them was in force
    local p=$1 g=$2 f; shift 2
    for f in "$@"; do grep -qx "$g $f" "seen-$p" || { echo "  never seen: $g $f"; return 1; }; done
}
until_point() { # waits until the log in $1 says that the point $2 is measured
    for _ in $(seq 600); do grep -q "profile .*$2" "$1" && return 0; sleep 0.05; done; return 1
}

uname -a
say "the settings that must come back: governors with their tunables"
echo ondemand >$cpufreq/policy0/scaling_governor
echo 77 >$cpufreq/ondemand/up_threshold
echo 1234 >$cpufreq/schedutil/rate_limit_us
before=$(settings); echo "$before"

say "dsn doctor"
[ -e vmrapl.ko ] && insmod vmrapl.ko wrap_uj=2000000
./dsn doctor

say "every operating point, read back; normal exit"
for cluster in little big; do
    [ $cluster = little ] && p=0 && points="400000 600000 800000 1000000 1200000"
    [ $cluster = big ] && p=2 && points="800000 1200000 1600000 2000000 2400000"
    watch $p & w=$!
    profile $cluster 2>&1 | grep -v "^dsn profile: profile" | tail -4
    kill $w; wait $w 2>/dev/null
    sort "seen-$p" | uniq -c
    # shellcheck disable=SC2086
    check "policy$p was seen at each of: $points" seen $p userspace $points
done
check "normal exit: all as before" [ "$(settings)" = "$before" ]
check "normal exit: no state file is left" [ ! -e $state ]

say "SIGTERM in the middle"
profile little >log 2>&1 & pid=$!
until_point log "600 MHz"; settings; kill -TERM $pid; wait $pid; status=$?
tail -2 log
check "exit status 143" [ $status = 143 ]
check "SIGTERM: all as before" [ "$(settings)" = "$before" ]

say "SIGKILL in the middle, then dsn restore"
profile little >log 2>&1 & pid=$!
until_point log "600 MHz"; kill -KILL $pid; wait $pid 2>/dev/null
settings
check "SIGKILL: the state file is there" [ -s $state ]
check "SIGKILL: policy0 is left at userspace" grep -qx userspace $cpufreq/policy0/scaling_governor
./dsn doctor | grep -A2 '^state'
./dsn restore; check "dsn restore: exit status 0" [ $? = 0 ]
check "dsn restore: all as before" [ "$(settings)" = "$before" ]
check "dsn restore: the state file is gone" [ ! -e $state ]

say "SIGKILL, then another run: what was before the first one comes back"
profile little >log 2>&1 & pid=$!
until_point log "600 MHz"; kill -KILL $pid; wait $pid 2>/dev/null
profile little --resume >log 2>&1; check "the second run resumes" grep -q reused log
check "after both: all as before" [ "$(settings)" = "$before" ]

say "somebody takes the governor away in the middle"
(for _ in 1 2 3 4 5 6; do sleep 0.4; echo schedutil >$cpufreq/policy0/scaling_governor; done) & thief=$!
profile little >log 2>&1; status=$?; wait $thief
check "the run ends well all the same" [ $status = 0 ]
echo ondemand >$cpufreq/policy0/scaling_governor; echo 77 >$cpufreq/ondemand/up_threshold

say "the firmware caps policy0 at 800 MHz"
port 0x87 2; cat /sys/class/thermal/thermal_zone0/temp >/dev/null; sleep 1
cat $cpufreq/policy0/bios_limit $cpufreq/policy0/scaling_max_freq
./dsn doctor | grep -A1 'held to'
profile little 2>&1 | grep "asked for" | tee capped
check "frequencies above the cap are told" [ "$(grep -c "asked for" capped)" = 2 ]
port 0x87 0; cat /sys/class/thermal/thermal_zone0/temp >/dev/null; sleep 1

say "advice: every CPU of policy2 offline (EBUSY)"
echo 0 >/sys/devices/system/cpu/cpu2/online; echo 0 >/sys/devices/system/cpu/cpu3/online
./dsn profile --supernet net.safetensors --platform here.json --cluster big --dvfs control --out x.json 2>&1 | tee err
check "it says that they are offline" grep -q "every CPU of this policy is offline" err
echo 1 >/sys/devices/system/cpu/cpu2/online; echo 1 >/sys/devices/system/cpu/cpu3/online
say "advice: read-only /sys (EROFS)"
mount -o remount,ro /sys
profile little 2>&1 | tee err
check "it says read-only" grep -q "read-only file system" err
mount -o remount,rw /sys
say "advice: not root (EACCES)"
setpriv --reuid=65534 --regid=65534 --clear-groups ./dsn profile --supernet net.safetensors --cluster little --dvfs control --out /tmp/x.json 2>&1 | tee err
check "it says permission denied, and to run as root" grep -q "run as root" err
say "advice: a policy that is not there (ENOENT)"
sed 's/policy0/policy7/' here.json >elsewhere.json
./dsn profile --supernet net.safetensors --platform elsewhere.json --cluster little --dvfs control --out x.json 2>&1 | tee err
check "it says no such file, and names knob" grep -q '"knob"' err

say "governor userspace not there: limits are moved instead"
echo schedutil >$cpufreq/policy0/scaling_governor
modprobe -r cpufreq_userspace 2>&1; cat $cpufreq/policy0/scaling_available_governors
echo 1000000 >$cpufreq/policy0/scaling_max_freq
before=$(settings); echo "$before"
(while :; do echo "limits $(cat $cpufreq/policy0/scaling_min_freq)-$(cat $cpufreq/policy0/scaling_max_freq)"; sleep 0.05; done >seen-0 2>/dev/null) & w=$!
profile little 2>&1 | grep -e "asked for" -e "frequency set"
kill $w; wait $w 2>/dev/null
sort seen-0 | uniq -c
for f in 400000 600000 800000 1000000; do check "minimum = maximum = $f was seen" grep -qx "limits $f-$f" seen-0; done
check "limits: all as before" [ "$(settings)" = "$before" ]
echo 1200000 >$cpufreq/policy0/scaling_max_freq
modprobe cpufreq_userspace

say "energy: the integral of the powers set, for the ACPI meter, RAPL (wrapping at 2 J) and the battery"
for p in policy0 policy2; do echo userspace >$cpufreq/$p/scaling_governor; done
echo 800000 >$cpufreq/policy0/scaling_setspeed; echo 1600000 >$cpufreq/policy2/scaling_setspeed
port 0x8b 4; cat /sys/class/thermal/thermal_zone0/temp >/dev/null; sleep 1 # unplug the mains
# 0.5 W, 20 c + c^3/8 mW per cluster of c * 100 MHz, 0.1 W per step of the knob
base=$(awk 'BEGIN { for (i = 1; i <= 2; i++) { c = i == 1 ? 8 : 16; w += 20 * c + int(c * c * c / 8) }; print (w + 500) / 1000 }')
echo "constant: $base W"
./dsn doctor --measure 4s --json >constant.json
(sleep 2; port 0x8a 30; sleep 2; port 0x8a 0) & ./dsn doctor --measure 6s --json >step.json; wait
python3 - "$base" <<'PY' || failures=$((failures + 1))
import json, sys
base, bad = float(sys.argv[1]), 0
for name, extra in (("constant.json", 0), ("step.json", 3.0 * 2)):
    for m in json.load(open(name))["meters"]:
        if m["energy_j"] is None:
            print("FAIL", name, m["id"], m["energy_j_reason"]); bad = 1; continue
        expected = base * m["seconds"] + extra
        error = m["energy_j"] / expected - 1
        # The step's place within a sampling period is not known, nor how long a busy host made the guest's sleep.
        tolerance = 0.005 if extra == 0 else 0.08
        ok = abs(error) <= tolerance
        bad |= not ok
        print("PASS" if ok else "FAIL", f"{name} {m['id']} ({m['kind']}): {m['energy_j']:.3f} J of {expected:.3f} J set, "
              f"{100 * error:+.2f} %, {m['seconds']:.2f} s, {m['samples']} samples, {m['failed']} failed")
sys.exit(bad)
PY
say "a meter that fails (ENODATA)"
port 0x8b 5; ./dsn doctor | grep -A1 ' acpi:'
port 0x8b 0

say "$failures failures"
exit $((failures > 0))
