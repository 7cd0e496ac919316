#!/bin/bash
# check.sh DSN [LOG]: runs dvfs_check.sh in the guest with the tool DSN; PARTS: which of its parts, default all; MODULES: a folder of build-modules.sh, for RAPL.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { sed -n 2p "$0" >&2; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cp "$1" "$work/dsn"
cp "$here/dvfs_check.sh" "$work/"
cp "$here/../../examples/fmnist-mbv3.safetensors" "$work/net.safetensors"
# A family of one small level, so that a point takes milliseconds of the emulated CPU.
"$1" profile --supernet "$work/net.safetensors" --threads 1 --random-levels 0 --held-out 0 --patience 0s -w 0 -r 3 --min-time 0ms --max-time 1us --out "$work/lut.json" >/dev/null 2>&1
python3 - "$work" <<'PY'
import json, sys
lut = json.load(open(sys.argv[1] + "/lut.json"))
level = min(lut["levels"], key=lambda row: (row["config"]["r"], sum(row["config"]["d"]), sum(row["config"]["e"])))  # the smallest
row = {"id": 0, "config": level["config"], "accuracy": 0.9, "accuracy_on": "nothing: a stand-in", "accuracy_origin": "modelled",
       "macs": 1409568, "params": 64682}
for key in ("bn_prefix", "predicted_latency_s", "val_accuracy"):
    row.update({key: None, key + "_reason": "a stand-in"})
json.dump({"schema": "dsn.family", "schema_version": 1, "space": lut["space"], "space_sha256": lut["space_sha256"], "bn_file": None,
           "bn_file_reason": "shared statistics", "levels": [row]}, open(sys.argv[1] + "/family.json", "w"))
PY
[ -z "${MODULES:-}" ] || cp "$MODULES/vmrapl.ko" "$work/"
cat >"$work/all.sh" <<'GUEST'
./dsn platform --out here.json >/dev/null 2>&1
exec ./dvfs_check.sh "$@"
GUEST
chmod -R a+rX "$work"; chmod +x "$work"/*.sh  # one part is not run as root
"$here/run-vm.sh" ${KERNEL_LOG:+-k "$KERNEL_LOG"} -t "${LIMIT:-900}" -m acpi_power_meter "$work" bash ./all.sh ${PARTS:-} 2>&1 | tee "${2:-/dev/null}"
exit "${PIPESTATUS[0]}"
