#!/usr/bin/env bash
# simulator.sh: the dialogues that the simulated Asterisk knows, with it and through amiwall, must be alike.
# SIMULATOR_SECRET is the secret of its users.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export SIMULATOR_SECRET=${SIMULATOR_SECRET:-amiwallpw}
secret=$SIMULATOR_SECRET
if [ "${1:-}" = inside ]; then                # beside the simulator and amiwall
  cd "$repo/tests/compliance"
  # A few seconds are enough for what runs in memory. Cases that it does not simulate are left out of the comparison.
  export COMPLIANCE_TIMEOUT=4
  timeout 600 ./compliance.py --target "$SIMULATOR_AMI" --user amiwall --secret "$secret" \
    --record "$AMIWALL_RUN/direct.json" >/dev/null 2>&1 || true
  timeout 600 ./compliance.py --target "$AMIWALL_PLAIN" --user tester --secret testerpw --through \
    --skip-broken-in "$AMIWALL_RUN/direct.json" --record "$AMIWALL_RUN/through.json"
  exec ./compliance.py --compare "$AMIWALL_RUN/direct.json" "$AMIWALL_RUN/through.json" --at-least 100
fi

need_amiwall
export UPSTREAM_SECRET=$secret
steps=$repo/tests/steps
# shellcheck disable=SC2016 # expanded beside the simulator
"$steps/with-simulator.sh" bash -c '"$1/with-amiwall.sh" "$SIMULATOR_AMI" -- "$1/simulator.sh" inside' - "$steps"
