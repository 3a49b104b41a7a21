#!/usr/bin/env bash
# with-simulator.sh COMMAND [ARGUMENTS...]: runs COMMAND beside `amiwall simulate`, whose address it finds in SIMULATOR_AMI.
# SIMULATOR_ARGS holds further arguments for it. Exit status: that of COMMAND.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -ge 1 ] || { echo "usage: with-simulator.sh command [arguments...]" >&2; exit 2; }
need_amiwall
log=$(mktemp "${TMPDIR:-/tmp}/amiwall-simulator.XXXXXX")
pid=
trap '[ -z "$pid" ] || end_process "$pid"; rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

read -r port < <(python3 "$repo/tests/asterisk/ports.py" 1)
read -ra more <<<"${SIMULATOR_ARGS:---secret-env SIMULATOR_SECRET}"
"$amiwall" simulate --listen "127.0.0.1:$port" "${more[@]}" >"$log" 2>&1 </dev/null &
pid=$!
if ! python3 "$repo/tests/asterisk/wait_ready.py" banner "127.0.0.1:$port" "$pid" 30; then
  tail -n 20 "$log" >&2
  say "the simulator did not come up"
  exit 1
fi
export SIMULATOR_AMI=127.0.0.1:$port
status=0
"$@" || status=$?
kill -0 "$pid" 2>/dev/null || { say "the simulator ended while the command ran"; tail -n 20 "$log" >&2; status=1; }
exit "$status"
