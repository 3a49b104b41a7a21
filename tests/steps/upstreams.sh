#!/usr/bin/env bash
# upstreams.sh 22|16: a real Asterisk over TLS, with a certificate of `amiwall certs`: who it has to be, and what becomes of
# clients when it is started anew (`hold`).
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -eq 1 ] || { echo "usage: upstreams.sh 22|16" >&2; exit 2; }
need_amiwall
here=$repo/tests/asterisk
root=$AMIWALL_TEST_CACHE/asterisk-$1
"$here/fetch.sh" "$1" "$root"

run=$(mktemp -d "${TMPDIR:-/tmp}/upstreams.XXXXXX")
chmod 711 "$run"                               # Asterisk may run as another user
pid=
cleanup() {
  # The one that was killed and started again is restart.py's own.
  [ -z "$(jobs -pr)" ] || end_process "$pid"
  keep_or_remove "$run" "${KEEP_ASTERISK_RUN:-}"
}
trap_end

# As the recipe has it: an authority, and a certificate for Asterisk.
"$amiwall" certs "$run/certs" --name pbx.test >/dev/null
"$amiwall" certs "$run/others" --name pbx.test >/dev/null
mkdir -p "$run/pbx/keys"
cp "$run/certs/server.crt" "$run/pbx/keys/ami.pem"
cp "$run/certs/server.key" "$run/pbx/keys/ami.key"
read -r ami tls sip < <(python3 "$here/ports.py" 3)
start=(env "AST_RUN=$run/pbx" "AMI_PORT=$ami" "AMI_TLS_PORT=$tls" "SIP_PORT=$sip" "$here/run.sh" "$root" "$here/conf")
"${start[@]}" >"$run/asterisk.out" 2>&1 </dev/null &
pid=$!
python3 "$here/wait_ready.py" booted "127.0.0.1:$ami" "$pid" 60 || { tail -n 20 "$run/asterisk.out" >&2; say "Asterisk did not come up"; exit 1; }

# What amiwall says of an Asterisk that is not the one that the policy means. Nobody is accepted until it was reached.
must_say() {
  local text=$1 port=$2 tls_of=$3 log=$run/refused.log deadline=$((SECONDS + 30))
  mkdir -p "$run/refused"
  sed -e "s#127\.0\.0\.1:5038#127.0.0.1:$port#; s#{ ca: @CA@, name: pbx.test }#$tls_of#; /5039/d; s#127\.0\.0\.1:5040#127.0.0.1:0#" \
    "$repo/tests/upstreams/policy.yaml" >"$run/refused/policy.yaml"
  (umask 077 && cp "$repo"/tests/compliance/*.secret "$run/refused/")
  "$amiwall" run "$run/refused/policy.yaml" >"$log" 2>&1 </dev/null &
  local refused=$!
  until grep -qF "$text" "$log"; do
    if ! kill -0 "$refused" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
      cat "$log" >&2
      say "it does not say «$text»"
      end_process "$refused"
      exit 1
    fi
    read -rt 0.05 <> <(:) || true             # a pause between two looks
  done
  end_process "$refused"
  echo "ok   $text"
}
must_say "its certificate is not of the authority in \`tls.ca\`" "$tls" "{ ca: $run/others/ca.crt, name: pbx.test }"
must_say "its certificate is for another name" "$tls" "{ ca: $run/certs/ca.crt, name: other.test }"
must_say "it does not speak TLS" "$ami" "{ ca: $run/certs/ca.crt, name: pbx.test }"

sed "s#@CA@#$run/certs/ca.crt#" "$repo/tests/upstreams/policy.yaml" >"$run/policy.yaml"
export ASTERISK_OUT=$run/asterisk.again
ASTERISK_START=$(printf '%s\n' "${start[@]}")
export ASTERISK_PID=$pid ASTERISK_START AMIWALL_POLICY=$run/policy.yaml
"$repo/tests/steps/with-amiwall.sh" "127.0.0.1:$tls" -- timeout 240 python3 "$repo/tests/upstreams/restart.py"
{ wait "$pid"; } 2>/dev/null || true           # that it was killed is no news
echo "upstreams.sh: all is as it should be"
