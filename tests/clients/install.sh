#!/usr/bin/env bash
# install.sh DIR: puts the client libraries of the tests into DIR (DIR/venv, DIR/asterisk-ami, DIR/node), with pip and npm
# as this machine has them configured. A DIR that has them is left alone. Those of Perl, and nc, are Debian's own.
# Exit status: 0 they are there, 1 it failed, 3 something of Debian is missing
set -euo pipefail

PYTHON_PACKAGES=(panoramisk==1.4 pyst2==0.5.1 pystrix==1.3.0)
APART=asterisk-ami==0.1.7                     # has a module of the same name as pyst2's
NODE_PACKAGES=(asterisk-manager@0.2.0 asterisk-ami-client@1.1.5 yana@0.3.0)

[ $# -eq 1 ] || { echo "usage: install.sh DIR" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
stamp="${PYTHON_PACKAGES[*]} $APART ${NODE_PACKAGES[*]}"

for module in Telephony::Asterisk::AMI:libtelephony-asterisk-ami-perl Net::Telnet:libnet-telnet-perl; do
  perl -M"${module%:*}" -e 1 2>/dev/null || { echo "install.sh: Debian package ${module##*:} is missing" >&2; exit 3; }
done
for tool in nc:netcat-openbsd openssl:openssl; do
  command -v "${tool%:*}" >/dev/null || { echo "install.sh: Debian package ${tool#*:} is missing" >&2; exit 3; }
done
[ "$(cat "$dir/.complete" 2>/dev/null || true)" != "$stamp" ] || exit 0

python3 -c 'import ensurepip, venv' 2>/dev/null ||
  { echo "install.sh: python3 cannot make a venv (Debian package python3-venv)" >&2; exit 3; }
for tool in node npm; do
  command -v "$tool" >/dev/null || { echo "install.sh: $tool is missing (Debian packages nodejs, npm)" >&2; exit 3; }
done

exec 9>"$dir.lock"
flock -w 300 9 || { echo "install.sh: $dir is being made by another for five minutes" >&2; exit 1; }
rm -rf "$dir/venv" "$dir/asterisk-ami" "$dir/node" "$dir/.complete"
python3 -m venv "$dir/venv"
timeout 240 "$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${PYTHON_PACKAGES[@]}" 9>&-
timeout 240 "$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check --target "$dir/asterisk-ami" "$APART" 9>&-
mkdir -p "$dir/node"
echo '{"name":"amiwall-test-clients","private":true}' >"$dir/node/package.json"
(cd "$dir/node" && timeout 240 npm install --silent --no-audit --no-fund --ignore-scripts "${NODE_PACKAGES[@]}" 9>&-)
echo "$stamp" >"$dir/.complete"
