#!/usr/bin/env bash
# report.sh: the audit report of a busy month, in a real browser: no script, no request, no console message, the numbers
# on the page, and pictures of it in ${AMIWALL_TEST_ARTEFACTS:-target/artefacts} for people to look at.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_amiwall
browser=$(command -v chromium || command -v chromium-browser || true)
[ -n "$browser" ] || { say "chromium is missing"; exit 3; }
artefacts=${AMIWALL_TEST_ARTEFACTS:-$repo/target/artefacts}
mkdir -p "$artefacts"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 "$repo/tests/report/busy_log.py" "$work/log"
head=$("$amiwall" audit verify "$work/log" | sed -n 's/^head: *//p')
page=$artefacts/report.html
"$amiwall" audit report "$work/log" --policy "$repo/policies/example.yaml" --title "Telephone access, November 2026" \
  --out "$page" --csv "$artefacts/report-csv"

# A broken log is reported all the same, and exit code 5 says so.
cp -r "$work/log" "$work/broken"
segment=$(find "$work/broken" -name '*.jsonl' | sort | sed -n 2p)
sed -i '100s/"kind":"checkpoint"/"kind":"Checkpoint"/; 101s/"kind":"checkpoint"/"kind":"Checkpoint"/' "$segment"
status=0
"$amiwall" audit report "$work/broken" --out "$artefacts/report-broken.html" 2>/dev/null || status=$?
[ "$status" = 5 ] || { say "a broken log ended with $status, not 5"; exit 1; }

browse() {                                    # LOG OPTIONS... FILE
  local log=$1
  shift
  timeout 180 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync \
    --disable-background-networking --disable-component-update --user-data-dir="$work/profile" --hide-scrollbars \
    --host-resolver-rules='MAP * ~NOTFOUND' --enable-logging=stderr --v=0 "$@" 2>"$log" || { say "the browser failed"; tail -n 20 "$log" >&2; exit 1; }
}
browse "$work/dom.log" --log-net-log="$work/net.json" --dump-dom "file://$page" >"$work/dom.html"
# That a request or a message would be noticed is tried with a page that has both.
echo '<meta charset=utf-8><img src="http://127.0.0.1:9/canary"><script>console.error("canary")</script>' >"$work/canary.html"
browse "$work/canary.log" --log-net-log="$work/canary.json" --dump-dom "file://$work/canary.html" >/dev/null
browse "$work/shot.log" --window-size=1180,1600 --screenshot="$artefacts/report.png" "file://$page"
browse "$work/long.log" --window-size=1180,9000 --screenshot="$artefacts/report-whole.png" "file://$page"
browse "$work/broken.log" --window-size=1180,1000 --screenshot="$artefacts/report-broken.png" \
  "file://$artefacts/report-broken.html"
browse "$work/pdf.log" --no-pdf-header-footer --print-to-pdf="$artefacts/report.pdf" "file://$page"
python3 "$repo/tests/report/check.py" "$work" "$artefacts" "$head"
