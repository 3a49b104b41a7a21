#!/usr/bin/env bash
# with-amiwall.sh UPSTREAM -- COMMAND [ARGUMENTS...]
#
# Runs COMMAND beside an amiwall in front of UPSTREAM (HOST:PORT), with tests/compliance/policy.yaml, fresh certificates
# and free loopback ports, and ends that amiwall afterwards. COMMAND finds in its environment:
#   AMIWALL                      the program
#   AMIWALL_TLS, AMIWALL_PLAIN   127.0.0.1:PORT of the two listeners
#   AMIWALL_CA                   the authority of the certificates
#   AMIWALL_RUN                  the folder with policy.yaml, certs/ (with audit.pub), audit/, amiwall.log
# AMIWALL_POLICY names another policy, with the same addresses. UPSTREAM_SECRET is the secret of the account `amiwall` there (default: the test Asterisk's).
# Exit status: that of COMMAND; 1 when amiwall did not start, died, or left an audit log that does not verify.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -ge 3 ] && [ "$2" = -- ] || { echo "usage: with-amiwall.sh HOST:PORT -- command [arguments...]" >&2; exit 2; }
upstream=$1
shift 2
need_amiwall

run=$(mktemp -d "${TMPDIR:-/tmp}/amiwall-run.XXXXXX")
pid=
cleanup() {
  [ -z "$pid" ] || end_process "$pid"
  keep_or_remove "$run" "${KEEP_AMIWALL_RUN:-}"
}
trap_end

read -r tls plain < <(python3 "$repo/tests/asterisk/ports.py" 2)
"$amiwall" certs "$run/certs" >"$run/certs.log" 2>&1 || { cat "$run/certs.log" >&2; say "amiwall certs failed"; exit 1; }
"$amiwall" audit key "$run/certs" >>"$run/certs.log" 2>&1 || { cat "$run/certs.log" >&2; say "amiwall audit key failed"; exit 1; }
sed -e "s#127\.0\.0\.1:5038#$upstream#; s#127\.0\.0\.1:5039#127.0.0.1:$tls#; s#127\.0\.0\.1:5040#127.0.0.1:$plain#" \
  "${AMIWALL_POLICY:-$repo/tests/compliance/policy.yaml}" >"$run/policy.yaml"
(umask 077 && cp "$repo"/tests/compliance/*.secret "$run/")
[ -z "${UPSTREAM_SECRET:-}" ] || echo "$UPSTREAM_SECRET" >"$run/pbx.secret"
mkdir -m 700 "$run/audit"

"$amiwall" run "$run/policy.yaml" >"$run/amiwall.log" 2>&1 </dev/null &
pid=$!
if ! python3 "$repo/tests/asterisk/wait_ready.py" banner "127.0.0.1:$plain" "$pid" 30; then
  tail -n 30 "$run/amiwall.log" >&2
  say "amiwall did not come up"
  exit 1
fi

export AMIWALL=$amiwall AMIWALL_TLS=127.0.0.1:$tls AMIWALL_PLAIN=127.0.0.1:$plain AMIWALL_CA=$run/certs/ca.crt AMIWALL_RUN=$run
status=0
"$@" || status=$?
if ! kill -0 "$pid" 2>/dev/null; then
  say "amiwall ended while the command ran"
  [ "$status" != 0 ] || status=1
fi
end_process "$pid"
pid=
evidence=()
[ ! -f "$run/anchor.jsonl" ] || evidence=(--key "$run/certs/audit.pub" --anchor "$run/anchor.jsonl")
"$amiwall" audit verify "$run/audit" "${evidence[@]}" >"$run/verify.log" 2>&1 || {
  tail -n 20 "$run/verify.log" >&2
  say "the audit log does not verify"
  [ "$status" != 0 ] || status=1
}
[ "$status" = 0 ] || { say "the end of amiwall's output:"; tail -n 15 "$run/amiwall.log" >&2; }
exit "$status"
