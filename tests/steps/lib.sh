# Sourced by the steps: where things are, and how a process that was started here is ended.
# Exit status of every step: 0 passed, 1 failed, 3 could not be run on this machine.
# shellcheck shell=bash
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export AMIWALL_TEST_CACHE=${AMIWALL_TEST_CACHE:-$repo/tests/.cache}
mkdir -p "$AMIWALL_TEST_CACHE"
AMIWALL_TEST_CACHE=$(cd "$AMIWALL_TEST_CACHE" && pwd)
amiwall=${AMIWALL:-${CARGO_TARGET_DIR:-$repo/target}/debug/amiwall}

say() { echo "${0##*/}: $*" >&2; }

# The binary that the steps try: built when it is missing; AMIWALL names another one.
need_amiwall() {
  if [ -z "${AMIWALL:-}" ]; then (cd "$repo" && cargo build --locked --quiet) || { say "cargo build failed"; exit 1; }; fi
  [ -x "$amiwall" ] || { say "$amiwall is missing"; exit 1; }
}

# Calls the function `cleanup` at the end, however the script comes to it.
trap_end() {
  trap cleanup EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# Takes the folder of a run away, or keeps it: keep_or_remove FOLDER [YES]
keep_or_remove() {
  if [ -n "${2:-}" ]; then say "kept $1"; else rm -rf "$1"; fi
}

# Ends one process, by its id: politely, and by force when it has not ended in 15 seconds.
end_process() {
  local pid=$1 deadline=$((SECONDS + 15))
  kill -TERM "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      say "process $pid did not end on SIGTERM"
      kill -KILL "$pid" 2>/dev/null || true
      break
    fi
    read -rt 0.05 <> <(:) || true             # a pause between two looks
  done
  wait "$pid" 2>/dev/null || true
}
