#!/usr/bin/env bash
# package.sh: the Debian package, in a clean Debian 12 made by debootstrap: installed, started by its unit's ExecStart as the
# unit's user, used by a client, upgraded, removed and purged; the audit log stays. systemd does not run there: what the
# package asks of systemctl is written down by one that does nothing else. The program in it is the one that the other
# steps try, so that nothing has to be built for release.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cargo_deb=3.8.0
for need in debootstrap dpkg-deb dpkg-shlibdeps openssl; do
  command -v "$need" >/dev/null || { say "$need is missing (Debian packages debootstrap, dpkg-dev, openssl)"; exit 3; }
done
[ "$(id -u)" = 0 ] || { say "a root folder of its own takes root"; exit 3; }
fail() { say "$*"; exit 1; }

# cargo-deb, once.
tools=$AMIWALL_TEST_CACHE/cargo-deb-$cargo_deb
if [ ! -x "$tools/bin/cargo-deb" ]; then
  env -u CARGO_TARGET_DIR cargo install --quiet --locked --debug --no-default-features --root "$tools" --version "=$cargo_deb" cargo-deb ||
    { say "cargo-deb cannot be installed"; exit 1; }
fi

# A Debian with systemd's tools and nothing else that is not essential, once; from where this machine has its packages.
base=$AMIWALL_TEST_CACHE/debian-12.tar
if [ ! -f "$base" ]; then
  mirror=$(apt-get indextargets --format '$(CODENAME) $(SITE)' 'Created-By: Packages' | sed -n 's/^bookworm //p' | head -n 1)
  [ -n "$mirror" ] || { say "this machine has no packages of Debian 12"; exit 3; }
  new=$(mktemp -d "$AMIWALL_TEST_CACHE/debian-12.XXXXXX")
  debootstrap --variant=minbase --include=systemd bookworm "$new" "$mirror" >"$base.log" 2>&1 ||
    { tail -n 20 "$base.log"; rm -rf "$new"; fail "debootstrap failed"; }
  rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/* "$new"/dev "$new"/usr/share/{doc,locale,man}
  tar -C "$new" --one-file-system -cf "$base.new" . && mv "$base.new" "$base"
  rm -rf "$new"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/amiwall-package.XXXXXX")
root=$work/root
pids=()
cleanup() {
  for pid in "${pids[@]}"; do end_process "$pid"; done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export PATH=$tools/bin:$PATH
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$repo/Cargo.toml" | head -n 1)
"$repo/scripts/dist" --profile dev deb "$work" || fail "no package"
first=$(echo "$work"/*.deb) second=$work/second.deb
# The same, as a newer one.
dpkg-deb --raw-extract "$first" "$work/raw"
sed -i "s/^Version: .*/Version: $version-2/" "$work/raw/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip --build "$work/raw" "$second" >"$work/dpkg.log" || fail "no second package"

# What is in it.
contents=$(dpkg-deb --contents "$first")
for path in usr/bin/amiwall usr/lib/systemd/system/amiwall.service usr/lib/sysusers.d/amiwall.conf usr/lib/tmpfiles.d/amiwall.conf \
  usr/share/man/man1/amiwall.1.gz usr/share/man/man5/amiwall-policy.5.gz usr/lib/systemd/system/amiwall-connect@.service usr/share/man/man1/amiwall-audit-verify.1.gz usr/share/bash-completion/completions/amiwall \
  usr/share/zsh/vendor-completions/_amiwall usr/share/fish/vendor_completions.d/amiwall.fish \
  usr/share/doc/amiwall/examples/policies/example.yaml usr/share/doc/amiwall/examples/amiwall.socket usr/share/doc/amiwall/LICENSE-MIT; do
  grep -q " \./$path\$" <<<"$contents" || fail "the package has no $path"
done
! grep -E ' \./(etc|var)/.' <<<"$contents" || fail "the package has files of the administrator's"
grep -vE '^[-d]\S+ (root/root|0/0) ' <<<"$contents" | grep . && fail "files that are not root's"
dpkg-deb --field "$first" Depends | grep -q 'libc6 (>= ' || fail "the package does not say which libc6 it needs"
[ "$(dpkg-deb --field "$first" Version)" = "$version-1" ] || fail "the package has another version"

mkdir "$root"
tar -C "$root" -xf "$base"
chmod 755 "$root"
mkdir -p "$root/dev" "$root/run/systemd/system"
for device in null:3 zero:5 urandom:9; do
  mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}" || { say "no devices can be made here"; exit 3; }
done
# In the place of systemctl, which would ask the systemd of this machine.
printf '#!/bin/sh\necho "$*" >>/run/systemctl.log\n' >"$root/usr/local/sbin/systemctl"
chmod 755 "$root/usr/local/sbin/systemctl"

inside() { env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@" </dev/null; }
# No function: what is ended by its id has to be the program itself.
as_amiwall=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot --userspec=amiwall:amiwall "$root")
dpkg_inside() { inside dpkg "$@" >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log"; fail "dpkg $* failed"; }; }
# What was asked of systemctl since the last time.
asked() { sort "$root/run/systemctl.log" 2>/dev/null || true; rm -f "$root/run/systemctl.log"; }
expect() { [ "$2" = "$3" ] || fail "$1: expected '$3', found '$2'"; }
mode_of() { inside stat -c '%a %U %G' "$1"; }

cp "$first" "$root/first.deb"
dpkg_inside --install /first.deb
expect "a first installation starts nothing" "$(asked)" "--system daemon-reload"
expect "the policy's folder" "$(mode_of /etc/amiwall)" "750 root amiwall"
expect "the log's folder" "$(mode_of /var/lib/amiwall)" "700 amiwall amiwall"
expect "the user's shell" "$(inside getent passwd amiwall | cut -d: -f6,7)" "/var/lib/amiwall:/usr/sbin/nologin"
unit=$root/usr/lib/systemd/system/amiwall.service
user=$(sed -n 's/^User=//p' "$unit")
expect "the unit's user" "$user" amiwall
read -ra start < <(sed -n 's/^ExecStart=//p' "$unit")
[ -x "$root${start[0]}" ] || fail "the unit starts ${start[0]}, which is not there"

# As docs/deployment.md says it.
read -r listen asterisk < <(python3 "$repo/tests/asterisk/ports.py" 2)
inside amiwall init /etc/amiwall --yes --name localhost --listen "127.0.0.1:$listen" --asterisk "127.0.0.1:$asterisk" >"$work/init.txt" ||
  fail "amiwall init failed"
secret=$(sed -n 's/.*\b\([0-9a-f]\{40\}\)\b.*/\1/p' "$work/init.txt" | head -n 1)
client=$(sed -n '/^identities:/,$s/^  \([a-z-]*\):$/\1/p' "$root/etc/amiwall/policy.yaml" | head -n 1)
[ -n "$secret" ] && [ -n "$client" ] || { cat "$work/init.txt"; fail "init does not tell a client's secret"; }
sed -i 's|directory: audit$|directory: /var/lib/amiwall/audit|' "$root/etc/amiwall/policy.yaml"
inside sh -c 'cd /etc/amiwall && rm certs/ca.key manager.conf.snippet && chown root:amiwall policy.yaml && chmod 640 policy.yaml &&
  chown -R amiwall:amiwall certs secrets && chmod 700 certs secrets'
"${as_amiwall[@]}" amiwall check --strict /etc/amiwall/policy.yaml >"$work/check.txt" 2>&1 || { cat "$work/check.txt"; fail "check --strict"; }

"${as_amiwall[@]}" amiwall simulate --listen "127.0.0.1:$asterisk" --secret-file /etc/amiwall/secrets/pbx.secret </dev/null >"$work/asterisk.log" 2>&1 &
pids+=($!)
amiwall_pid=
start_service() {
  "${as_amiwall[@]}" "${start[@]}" </dev/null >"$work/amiwall.log" 2>&1 &
  amiwall_pid=$!
  pids+=("$amiwall_pid")
  local deadline=$((SECONDS + 30))
  # Two tasks say so, in either order.
  until grep -q 'is there' "$work/amiwall.log" && grep -q 'listening on' "$work/amiwall.log"; do
    kill -0 "$amiwall_pid" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ] || { cat "$work/amiwall.log"; fail "amiwall did not start"; }
    read -rt 0.05 <> <(:) || true
  done
}
stop_service() { end_process "$amiwall_pid"; }
# A whole session of a client: what is allowed is answered, what is not is refused.
use() {
  printf 'Action: %s\r\n\r\n' "Login
Username: $client
Secret: $secret" "Ping" "Command
Command: core show channels" "Logoff" | sed 's/\r*$/\r/' |
    timeout 30 openssl s_client -quiet -connect "127.0.0.1:$listen" -servername localhost -CAfile "$root/etc/amiwall/certs/ca.crt" \
      -verify_return_error >"$work/session.txt" 2>"$work/openssl.txt" || true
  for answer in 'Message: Authentication accepted' 'Ping: Pong' 'Message: Permission denied' 'Response: Goodbye'; do
    grep -q "$answer" "$work/session.txt" || { cat "$work/session.txt" "$work/openssl.txt" "$work/amiwall.log"; fail "no '$answer'"; }
  done
}
verify() { "${as_amiwall[@]}" amiwall audit verify /var/lib/amiwall/audit --key /etc/amiwall/certs/audit.pub >"$work/verify.txt" 2>&1 || { cat "$work/verify.txt"; fail "audit verify"; }; }
log_of() { cat "$root"/var/lib/amiwall/audit/audit-*.jsonl; }

start_service
use
stop_service
verify
grep -q '"name":"Command".*"decision":"deny"' <(log_of) || fail "the refusal is not on record"
log_of >"$work/log"

cp "$second" "$root/second.deb"
dpkg_inside --install /second.deb
expect "an upgrade restarts" "$(asked)" "$(printf '%s\n' '--system daemon-reload' 'try-restart amiwall.service')"
log_of | cmp -s - "$work/log" || fail "the upgrade changed the audit log"
start_service
use
stop_service
verify
log_of | head -c "$(stat -c %s "$work/log")" | cmp -s - "$work/log" || fail "the log does not go on where it was"
log_of >"$work/log"

dpkg_inside --remove amiwall
expect "a removal ends it" "$(asked)" "$(printf '%s\n' '--quiet disable --now amiwall.service' '--system daemon-reload' | sort)"
for path in usr/bin/amiwall usr/lib/systemd/system/amiwall.service usr/share/doc/amiwall; do
  [ ! -e "$root/$path" ] || fail "$path is there after the removal"
done
dpkg_inside --purge amiwall
grep -q '^/var/lib/amiwall is kept' "$work/dpkg.log" || { cat "$work/dpkg.log"; fail "purge does not say that the log is kept"; }
log_of | cmp -s - "$work/log" || fail "the audit log did not outlive the package"
[ -f "$root/etc/amiwall/policy.yaml" ] || fail "the administrator's policy is gone"
echo "installed, used, upgraded, removed and purged $(basename "$first"); the log of $(wc -l <"$work/log") records is whole"
