#!/usr/bin/env bash
# trail-faults.sh: the built program on a disk that runs full, with failing system calls, and over a bind mount.
# AMIWALL_TEST_FULL=1 runs each at its full size. It needs strace, and user namespaces or root (for mounts of its own).
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# In a mount namespace: a small disk, and the tests on it.
if [ "${1:-}" = inside ]; then
  disk=$2 test=$3
  mount -t tmpfs -o size=8m,mode=700 amiwall-test "$disk"
  AMIWALL_TEST_DISK=$disk AMIWALL_TEST_MAY_MOUNT=1 "$test" --nocapture --include-ignored --test-threads 1 \
    disk_full:: sync_errors:: writers::
  exit
fi

cd "$repo"
command -v strace >/dev/null || { say "strace is missing"; exit 3; }
unshare -rm true 2>/dev/null || { say "no mounts here: neither root nor user namespaces"; exit 3; }
test=$(cargo test --locked --all-features --test audit_faults --no-run --message-format json 2>/dev/null |
  sed -n 's/.*"name":"audit_faults".*"executable":"\([^"]*\)".*/\1/p')
[ -x "$test" ] || { say "cargo test --test audit_faults --no-run failed"; exit 1; }
run=$(mktemp -d "${TMPDIR:-/tmp}/amiwall-faults.XXXXXX")
trap 'rm -rf "$run"' EXIT
mkdir "$run/disk"
timeout 5000 unshare -rm bash "$repo/tests/steps/trail-faults.sh" inside "$run/disk" "$test" >"$run/log" 2>&1 ||
  { cat "$run/log"; exit 1; }
grep -oE 'T[0-9] [a-z][^:]*: .*' "$run/log"
echo "trail-faults: $(grep -cE 'T[0-9] [a-z][^:]*: ' "$run/log") kinds of fault, nothing lost"
