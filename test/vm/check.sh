#!/bin/bash
# check.sh DSN [LOG]: runs dvfs_check.sh in the guest with the tool DSN; MODULES: a folder of build-modules.sh, for RAPL.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { sed -n 2p "$0" >&2; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cp "$1" "$work/dsn"
cp "$here/dvfs_check.sh" "$work/"
cp "$here/../../examples/fmnist-mbv3.safetensors" "$work/net.safetensors"
[ -z "${MODULES:-}" ] || cp "$MODULES/vmrapl.ko" "$work/"
cat >"$work/all.sh" <<'GUEST'
./dsn platform --out here.json >/dev/null 2>&1
exec ./dvfs_check.sh
GUEST
chmod +x "$work"/*.sh
"$here/run-vm.sh" ${KERNEL_LOG:+-k "$KERNEL_LOG"} -t "${LIMIT:-900}" -m acpi_power_meter "$work" bash ./all.sh 2>&1 | tee "${2:-/dev/null}"
exit "${PIPESTATUS[0]}"
