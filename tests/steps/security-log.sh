#!/usr/bin/env bash
# security-log.sh: fail2ban's own filter for Asterisk finds the true address in every refused login of amiwall's security
# log, and in nothing else. fail2ban is Debian's package, unpacked into the cache and not installed.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ "${1:-}" = inside ]; then                # beside amiwall
  exec python3 "$repo/tests/privacy/refused_logins.py" "$AMIWALL_PLAIN"
fi

need_amiwall
fail2ban=$AMIWALL_TEST_CACHE/fail2ban
if [ ! -x "$fail2ban/usr/bin/fail2ban-regex" ]; then
  say "fetching fail2ban into the cache"
  mkdir -p "$fail2ban"
  (cd "$fail2ban" && timeout 300 apt-get -qq download fail2ban 2>/dev/null && dpkg -x fail2ban_*.deb .) ||
    { say "the package fail2ban cannot be fetched"; exit 3; }
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/amiwall-security.XXXXXX")
trap 'rm -rf "$work"' EXIT
sed "s#^  directory: audit#&\n  security_log: $work/security#" "$repo/tests/compliance/policy.yaml" >"$work/policy.yaml"
export SIMULATOR_SECRET=${SIMULATOR_SECRET:-amiwallpw}
export UPSTREAM_SECRET=$SIMULATOR_SECRET
# shellcheck disable=SC2016 # expanded beside the simulator
AMIWALL_POLICY=$work/policy.yaml "$repo/tests/steps/with-simulator.sh" \
  bash -c '"$1/with-amiwall.sh" "$SIMULATOR_AMI" -- "$1/security-log.sh" inside' - "$repo/tests/steps" || exit 1

PYTHONPATH=$fail2ban/usr/lib/python3/dist-packages python3 "$fail2ban/usr/bin/fail2ban-regex" \
  --print-all-matched "$work/security" "$fail2ban/etc/fail2ban/filter.d/asterisk.conf" >"$work/report" 2>&1 ||
  { cat "$work/report"; say "fail2ban-regex failed"; exit 1; }
# Wrong secret, unknown name, wrong answer to a challenge: three; a good login and an early action: none.
matched=$(sed -n 's/^Lines: .* \([0-9]*\) matched.*/\1/p' "$work/report")
lines=$(wc -l <"$work/security")
[ "$matched" = 3 ] && [ "$lines" -ge 5 ] || {
  cat "$work/security" "$work/report"
  say "fail2ban matched ${matched:-none} of $lines lines, and not 3"
  exit 1
}
# What CrowdSec's parser asks for, as a plain expression.
name='[a-zA-Z0-9._-]+' address='IPV[46]/(UDP|TCP)/[0-9a-fA-F.:]+/[0-9]+'
crowdsec="^\[[^]]+\] SECURITY\[[0-9]+\].* SecurityEvent=\"(InvalidAccountID|ChallengeResponseFailed|InvalidPassword)\",EventTV=\"[^\"]*\",Severity=\"Error\",Service=\"[^\"]+\",EventVersion=\"[0-9]+\",AccountID=\"$name\",SessionID=\"[^\"]+\",LocalAddress=\"$address\",RemoteAddress=\"$address\""
[ "$(grep -cE "$crowdsec" "$work/security")" = 3 ] || { cat "$work/security"; say "CrowdSec would not read these"; exit 1; }
echo "fail2ban matched 3 of $lines lines"
