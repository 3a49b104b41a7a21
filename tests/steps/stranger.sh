#!/usr/bin/env bash
# stranger.sh: the programs that docs/audit-format.md shows check a real log, and find what was changed in it.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

venv=$AMIWALL_TEST_CACHE/stranger
page=$repo/docs/audit-format.md

# The N-th Python program of the page.
program() {
  awk -v wanted="$1" '/^```python$/ { inside = ++count == wanted; next } /^```$/ { inside = 0 } inside' "$page"
}

# Must fail, and say so with this word.
must_find() {
  local word=$1 output status=0
  shift
  output=$("$@" 2>&1) || status=$?
  if [ "$status" = 0 ] || [[ $output != *"$word"* ]]; then
    say "expected a failure that says «$word», got $status: $output"
    exit 1
  fi
}

if [ "${1:-}" = inside ]; then                # beside the simulator and amiwall
  folder=$AMIWALL_RUN/stranger
  mkdir "$folder"
  program 1 >"$folder/verify.py"
  program 2 >"$folder/signatures.py"
  python=$venv/bin/python key=$AMIWALL_RUN/certs/audit.pub
  python3 "$repo/tests/steps/stranger.py" "$AMIWALL_PLAIN" "$AMIWALL_RUN/audit"
  cp -r "$AMIWALL_RUN/audit" "$folder/whole"
  "$python" "$folder/verify.py" "$folder/whole" | tee /dev/stderr | grep -q '^whole: '
  "$python" "$folder/signatures.py" "$folder/whole" "$key" | tee /dev/stderr | grep -q '^signed up to record [1-9]'
  cp -r "$folder/whole" "$folder/changed"
  sed -i '0,/"Ping"/s//"Pong"/' "$folder"/changed/audit-*.jsonl
  must_find broken "$python" "$folder/verify.py" "$folder/changed"
  # A chain that somebody without the key has made anew: the chain is whole, the signatures are not.
  cp -r "$folder/whole" "$folder/anew"
  python3 "$repo/tests/steps/stranger.py" --rechain "$folder/anew"
  "$python" "$folder/verify.py" "$folder/anew" | grep -q '^whole: '
  must_find "another chain" "$python" "$folder/signatures.py" "$folder/anew" "$key"
  "$amiwall" audit verify "$folder/anew" >/dev/null
  must_find "not signed" "$amiwall" audit verify "$folder/anew" --key "$key"
  # Its note, checked by hand: openssl knows Ed25519.
  python3 "$repo/tests/steps/stranger.py" --note "$folder/whole" "$folder/note" "$folder/signature"
  openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$folder/note" -sigfile "$folder/signature"
  exit 0
fi

need_amiwall
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import cryptography' 2>/dev/null; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  timeout 240 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check cryptography
fi
export SIMULATOR_SECRET=amiwallpw UPSTREAM_SECRET=amiwallpw
steps=$repo/tests/steps
# shellcheck disable=SC2016 # expanded beside the simulator
"$steps/with-simulator.sh" bash -c '"$1/with-amiwall.sh" "$SIMULATOR_AMI" -- "$1/stranger.sh" inside' - "$steps"
