#!/usr/bin/env bash
# web.sh: the page for administrators in a real browser: log-in, every page in light and dark, on a desk and on a phone, with
# names in the log that are made to be more than text. Pictures are in ${AMIWALL_TEST_ARTEFACTS:-target/artefacts}.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

artefacts=${AMIWALL_TEST_ARTEFACTS:-$repo/target/artefacts}
if [ "${1:-}" = inside ]; then                # beside the simulator and amiwall
  coproc traffic { python3 "$repo/tests/web/traffic.py" "$AMIWALL_PLAIN"; }
  read -rt 60 line <&"${traffic[0]}" && [ "$line" = ready ] || { say "the traffic did not come through"; exit 1; }
  timeout 400 python3 "$repo/tests/web/browse.py" "$BROWSER" "http://$AMIWALL_HTTP" ops webpw-one "$artefacts"
  exit 0
fi

need_amiwall
BROWSER=$(command -v chromium || command -v chromium-browser || true)
[ -n "$BROWSER" ] || { say "chromium is missing"; exit 3; }
export BROWSER
mkdir -p "$artefacts"
work=$(mktemp -d "${TMPDIR:-/tmp}/amiwall-web.XXXXXX")
trap 'rm -rf "$work"' EXIT

hash=$(echo webpw-one | "$amiwall" hash-secret)
read -r port < <(python3 "$repo/tests/asterisk/ports.py" 1)
export AMIWALL_HTTP=127.0.0.1:$port AMIWALL_POLICY=$work/policy.yaml SIMULATOR_SECRET=amiwallpw UPSTREAM_SECRET=amiwallpw
sed -e "s#ADMIN#$AMIWALL_HTTP#; s#HASH#$hash#" "$repo/tests/web/policy.yaml" >"$AMIWALL_POLICY"
steps=$repo/tests/steps
# shellcheck disable=SC2016 # expanded beside the simulator
"$steps/with-simulator.sh" bash -c '"$1/with-amiwall.sh" "$SIMULATOR_AMI" -- "$1/web.sh" inside' - "$steps"
