#!/usr/bin/env bash
# install.sh DIR: puts the client libraries of the tests into DIR (DIR/venv, DIR/node), with pip and npm as this
# machine has them configured. A DIR that has them is left alone.
# Exit status: 0 they are there, 1 it failed, 3 python3-venv, node or npm is missing
set -euo pipefail

PYTHON_PACKAGES=(panoramisk==1.4 pyst2==0.5.1)
NODE_PACKAGES=(asterisk-manager@0.2.0 asterisk-ami-client@1.1.5)

[ $# -eq 1 ] || { echo "usage: install.sh DIR" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
stamp="${PYTHON_PACKAGES[*]} ${NODE_PACKAGES[*]}"
[ "$(cat "$dir/.complete" 2>/dev/null || true)" != "$stamp" ] || exit 0

python3 -c 'import ensurepip, venv' 2>/dev/null ||
  { echo "install.sh: python3 cannot make a venv (Debian package python3-venv)" >&2; exit 3; }
for tool in node npm; do
  command -v "$tool" >/dev/null || { echo "install.sh: $tool is missing (Debian packages nodejs, npm)" >&2; exit 3; }
done

exec 9>"$dir.lock"
flock -w 300 9 || { echo "install.sh: $dir is being made by another for five minutes" >&2; exit 1; }
rm -rf "$dir/venv" "$dir/node" "$dir/.complete"
python3 -m venv "$dir/venv"
timeout 240 "$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${PYTHON_PACKAGES[@]}" 9>&-
mkdir -p "$dir/node"
echo '{"name":"amiwall-test-clients","private":true}' >"$dir/node/package.json"
(cd "$dir/node" && timeout 240 npm install --silent --no-audit --no-fund --ignore-scripts "${NODE_PACKAGES[@]}" 9>&-)
echo "$stamp" >"$dir/.complete"
