#!/usr/bin/env bash
# run.sh DIR CONFDIR
#
# Runs the Asterisk that fetch.sh put into DIR, in the foreground and on loopback only,
# with the *.conf files of CONFDIR. The script becomes Asterisk (exec), so its process id
# is Asterisk's, and SIGTERM ends it. @ROOT@ @MODDIR@ @RUN@ @AMI_PORT@ @AMI_TLS_PORT@
# @SIP_PORT@ in the configuration are filled in.
#
# Environment:  AMI_PORT (5038), AMI_TLS_PORT (5039), SIP_PORT (5060)   on 127.0.0.1
#               AST_RUN    the folder for everything that it writes (else a fresh one)
#               AST_USER   the user that it runs as when root starts this (nobody)
#
# Its console, while it runs (as the same user or root):
#   $(cat DIR/run-prefix) DIR/usr/sbin/asterisk -C $AST_RUN/etc/asterisk.conf -rx 'core show version'
set -euo pipefail

[ $# -eq 2 ] || { echo "usage: run.sh DIR CONFDIR" >&2; exit 2; }
root=$(cd "$1" && pwd)
conf=$(cd "$2" && pwd)
[ -e "$root/.complete" ] || { echo "run.sh: $root is not complete: fetch.sh makes it" >&2; exit 1; }
run=${AST_RUN:-$(mktemp -d "${TMPDIR:-/tmp}/asterisk.XXXXXX")}
mkdir -p "$run"
run=$(cd "$run" && pwd)
mkdir -p "$run"/{etc,lib/keys,spool/{monitor,outgoing,tmp},run,log/{cdr-csv,cdr-custom,cel-custom},agi-bin,keys}
moddir=$(dirname "$(find "$root/usr/lib" -name pbx_config.so | head -n1)")

for f in "$conf"/*.conf; do
  sed -e "s#@ROOT@#$root#g; s#@MODDIR@#$moddir#g; s#@RUN@#$run#g" \
      -e "s#@AMI_PORT@#${AMI_PORT:-5038}#g; s#@AMI_TLS_PORT@#${AMI_TLS_PORT:-5039}#g; s#@SIP_PORT@#${SIP_PORT:-5060}#g" \
      "$f" >"$run/etc/${f##*/}"
done
# One modules.conf serves all versions: lines whose module this one lacks are dropped.
while read -r line; do
  case $line in
    'load => '*.so) [ -e "$moddir/${line#load => }" ] || continue ;;
  esac
  echo "$line"
done <"$run/etc/modules.conf" >"$run/etc/modules.new"
mv "$run/etc/modules.new" "$run/etc/modules.conf"

[ -e "$run/keys/ami.pem" ] || openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$run/keys/ami.key" -out "$run/keys/ami.pem" 2>/dev/null

# A PBX that can be told to run programs gets as few rights as it can do with.
drop=()
if [ "$(id -u)" = 0 ]; then
  drop=(setpriv --no-new-privs --inh-caps=-all --bounding-set=-all)
  user=${AST_USER:-nobody}
  gid=$(id -g "$user")
  as=(setpriv --reuid "$user" --regid "$gid" --clear-groups)
  # (A checkout that only root may read has to be run by root, but without capabilities.)
  if [ "$user" != root ] && "${as[@]}" test -r "$moddir/pbx_config.so" && "${as[@]}" test -x "$(dirname "$run")"; then
    chown -R "$user:$gid" "$run"
    drop=("${as[@]}" --no-new-privs --inh-caps=-all --bounding-set=-all)
  fi
fi
cd "$run"
export LC_ALL=C HOME="$run"
read -ra prefix <"$root/run-prefix"
exec "${drop[@]}" "${prefix[@]}" "$root/usr/sbin/asterisk" -f -C "$run/etc/asterisk.conf"
