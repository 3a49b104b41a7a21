#!/usr/bin/env bash
# metrics.sh: Prometheus' own tool reads what a running amiwall tells, the alert rules and what the dashboard asks, and each
# alert fires when it should. The tool is taken out of Debian's package without installing it: that would start a server.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ "${1:-}" = inside ]; then                # beside the simulator and amiwall
  python3 "$repo/tests/metrics/traffic.py" "$AMIWALL_PLAIN" "$AMIWALL_HTTP" "$AMIWALL_RUN/metrics"
  "$PROMTOOL" check metrics <"$AMIWALL_RUN/metrics"
  echo "$(grep -c '^# TYPE' "$AMIWALL_RUN/metrics") metrics, as Prometheus wants them"
  exit 0
fi

need_amiwall
work=$(mktemp -d "${TMPDIR:-/tmp}/amiwall-metrics.XXXXXX")
trap 'rm -rf "$work"' EXIT
PROMTOOL=$(command -v promtool || true)
if [ -z "$PROMTOOL" ]; then
  PROMTOOL=$AMIWALL_TEST_CACHE/prometheus/usr/bin/promtool
  if [ ! -x "$PROMTOOL" ]; then
    command -v apt-get >/dev/null || { say "promtool is missing, and this is no Debian"; exit 3; }
    fetch() { timeout 600 apt-get -qq download prometheus; }
    (cd "$work" && { fetch || { apt-get -qq update && fetch; }; } && dpkg-deb -x prometheus_*.deb unpacked) >&2 ||
      { say "the package prometheus cannot be had"; exit 3; }
    mkdir -p "$(dirname "$PROMTOOL")"
    mv "$work/unpacked/usr/bin/promtool" "$PROMTOOL"
  fi
fi
export PROMTOOL

rules=$repo/packaging/prometheus/amiwall.rules.yaml
"$PROMTOOL" check rules "$rules"
# What the dashboard asks, as rules: they are read by the same parser.
python3 - "$repo/packaging/grafana/amiwall.json" >"$work/dashboard.yaml" <<'PYTHON'
import json
import sys

targets = [target for panel in json.load(open(sys.argv[1]))["panels"] for target in panel.get("targets", [])]
asked = [target["expr"].replace("$instance", ".*").replace("$__rate_interval", "5m") for target in targets]
rules = [{"record": f"asked:{number}", "expr": expr} for number, expr in enumerate(asked)]
json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)
PYTHON
"$PROMTOOL" check rules "$work/dashboard.yaml"
sed "s#RULES#$rules#" "$repo/tests/metrics/alerts.yaml" >"$work/alerts.yaml"
"$PROMTOOL" test rules "$work/alerts.yaml"

read -r port < <(python3 "$repo/tests/asterisk/ports.py" 1)
export AMIWALL_HTTP=127.0.0.1:$port AMIWALL_POLICY=$work/policy.yaml SIMULATOR_SECRET=amiwallpw UPSTREAM_SECRET=amiwallpw
{ cat "$repo/tests/compliance/policy.yaml"; echo "admin: { http: { address: \"$AMIWALL_HTTP\" } }"; } >"$AMIWALL_POLICY"
steps=$repo/tests/steps
# shellcheck disable=SC2016 # expanded beside the simulator
"$steps/with-simulator.sh" bash -c '"$1/with-amiwall.sh" "$SIMULATOR_AMI" -- "$1/metrics.sh" inside' - "$steps"
