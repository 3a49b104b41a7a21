#!/usr/bin/env bash
# fetch.sh 22|16 DIR
#
# Puts a real Asterisk, with just the libraries it needs, into DIR: from Debian's
# own packages (22 is in sid, 16 in bullseye), without installing anything on this
# machine. A private apt state beside DIR downloads and verifies (signed Release,
# then Packages, then the hash of every .deb); the packages are unpacked, never
# installed, so no maintainer script runs, and neither root nor a chroot is needed.
#
# The mirror is the one that this machine's apt uses. A DIR that is complete is left
# alone: the second call is instant. DIR cannot be moved afterwards (its absolute
# path is in DIR/run-prefix) and must not have blanks in it.
#
#   DIR/run-prefix   how a program of that tree is started:
#                    $(cat DIR/run-prefix) DIR/usr/sbin/asterisk -V
#
# Environment:  DEBIAN_MIRROR    another mirror than the machine's own
#               DEBIAN_KEYRING   the keyring to verify with
# Exit status:  0 there it is, 1 it failed, 2 usage, 3 not possible on this machine
set -euo pipefail

fail() { echo "fetch.sh: $*" >&2; exit 1; }
cannot() { echo "fetch.sh: $*" >&2; exit 3; }
usage() { echo "usage: fetch.sh 22|16 DIR" >&2; exit 2; }

[ $# -eq 2 ] || usage
case $1 in
  22) suite=sid ;;
  16) suite=bullseye ;;
  *)  usage ;;
esac
mkdir -p "$(dirname "$2")"
dir=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
case $dir in *[[:space:]]*) fail "$dir: blanks in the path would not survive the command prefix" ;; esac
[ ! -e "$dir/.complete" ] || exit 0

for tool in apt-get apt-cache apt-config dpkg-deb; do
  command -v "$tool" >/dev/null ||
    cannot "a real Asterisk is taken from Debian's packages, and this machine has no $tool (it needs a Debian, 12 or later)"
done
keyring=${DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
[ -r "$keyring" ] ||
  cannot "$keyring is missing, so packages could not be verified (Debian package debian-archive-keyring)"
for tool in tar flock; do
  command -v "$tool" >/dev/null || cannot "$tool is missing"
done

exec 9>"$dir.lock"
flock -w 600 9 || fail "another fetch.sh has held $dir.lock for ten minutes"
[ ! -e "$dir/.complete" ] || exit 0             # it was being made meanwhile

work=$dir.work
root=$work/root
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$root" "$work"/{lists/partial,cache,debs/partial,parts}
: >"$work/status"                               # an empty dpkg status: nothing counts as installed

# The mirror that this machine's release comes from.
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=${DEBIAN_MIRROR:-}
if [ -z "$mirror" ]; then
  uris=$(apt-get update --print-uris)
  mirror=$(sed -n "s#^'\([^']*\)/dists/${codename:-none}/InRelease'.*#\1#p" <<<"$uris" | head -n1)
  grep -q '^ID=debian$' /etc/os-release || mirror=
fi
[ -n "$mirror" ] || cannot "this machine's apt has no Debian mirror configured (set DEBIAN_MIRROR to use one)"
echo "deb [signed-by=$keyring] $mirror $suite main" >"$work/sources.list"

# The machine's own apt settings (proxies, time-outs, validity), without its hooks,
# folders and additional indexes. APT_CONFIG is read before /etc/apt, so that has to be
# switched off here as well: a Post-Invoke hook there would clean the machine's own cache.
{
  apt-config dump | grep -vE '^(Dir|DPkg|APT::Update|APT::Default-Release|APT::Sandbox|Acquire::IndexTargets)\b'
  cat <<END
Dir::Etc::main "/dev/null"; Dir::Etc::parts "$work/parts";
Dir::Etc::sourcelist "$work/sources.list"; Dir::Etc::sourceparts "$work/parts";
Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "$work/parts";
Dir::State "$work"; Dir::State::Lists "$work/lists"; Dir::State::status "$work/status";
Dir::Cache "$work/cache"; Dir::Cache::archives "$work/debs"; Dir::Log "$work";
APT::Install-Recommends "false"; APT::Get::AllowUnauthenticated "false"; APT::Sandbox::User "";
Acquire::Languages "none"; Acquire::Retries "3"; Acquire::AllowInsecureRepositories "false";
END
} >"$work/apt.conf"
export APT_CONFIG=$work/apt.conf LC_ALL=C

# Bounded in time, and without the lock: a killed apt must not leave it to its children.
apt() { timeout 300 "$@" 9>&-; }

apt apt-get -qq update || fail "apt-get update failed for $suite"
# The libraries of the asterisk program itself (apt adds what those need). The long list of
# asterisk-modules (databases, SNMP, JACK ...) is for modules that a test PBX does not load;
# libgsm1 is for the sound files.
mapfile -t libs < <(apt-cache show asterisk | sed -n 's/^Depends: //p' | head -n1 |
  tr ',' '\n' | sed 's/^ *//; s/[ |(].*//' | grep '^lib')
[ "${#libs[@]}" -gt 0 ] || fail "$suite has no package asterisk at the moment"
apt apt-get -qq install --download-only -y "${libs[@]}" libgsm1 >/dev/null || fail "downloading libraries failed"
(cd "$work/debs" && apt apt-get -qq download asterisk asterisk-modules asterisk-core-sounds-en-gsm) ||
  fail "downloading asterisk failed"

for deb in "$work"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --no-same-owner \
    --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale' \
    --exclude='./usr/lib/*/gconv' --exclude='./usr/share/bug'
done
# What a maintainer script would have done: the sounds that the language "en" stands for.
ln -sfn en_US_f_Allison "$root/usr/share/asterisk/sounds/en"

# The dynamic loader and the library path of that tree.
arch=$(find "$root/usr/lib" -maxdepth 1 -name '*-linux-gnu' -printf '%f\n' | head -n1)
loader=
for f in "$root"/{usr/,}lib{64,}/ld-linux*.so* "$root"/{usr/,}lib/"$arch"/ld-linux*.so*; do
  if [ -f "$f" ]; then loader=$f; break; fi
done
[ -n "$loader" ] || fail "no dynamic loader among the unpacked packages"
path=$root/lib/$arch:$root/usr/lib/$arch:$root/usr/lib
version=$("$loader" --library-path "$path" "$root/usr/sbin/asterisk" -V) || fail "the unpacked Asterisk does not run"
case $version in
  "Asterisk $1."*) ;;
  *) fail "$suite has $version now, not $1" ;;
esac
echo "${loader/#$root/$dir} --library-path ${path//$root/$dir}" >"$root/run-prefix"
echo "$version" >"$root/.complete"
chmod -R a+rX "$root"
rm -rf "$dir"
mv "$root" "$dir"
echo "$version in $dir" >&2
