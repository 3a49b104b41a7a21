#!/usr/bin/env bash
# image.sh: the self-contained program needs nothing: it runs the demo in a folder with nothing else in it. The image for
# container engines has the digests that it says, and its files are a system in which it runs as the image's user.
# Built without optimisation, so that it is quick; how it is linked is the same.
# shellcheck source=tests/steps/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ "$(id -u)" = 0 ] || { say "a root folder of its own takes root"; exit 3; }
fail() { say "$*"; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/amiwall-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$repo/scripts/dist" --profile dev oci "$work/dist" || fail "scripts/dist oci failed"
(cd "$work/dist" && sha256sum --quiet --check SHA256SUMS) || fail "SHA256SUMS is wrong"
linked=$(ldd "$work/dist/amiwall" 2>&1 || true)
grep -qE 'statically linked|not a dynamic executable' <<<"$linked" || fail "it is not self-contained: $linked"

mkdir -p "$work/empty/tmp"
cp "$work/dist/amiwall" "$work/empty/"
env -i timeout 120 "$(command -v chroot)" "$work/empty" /amiwall demo >"$work/demo.txt" 2>&1 </dev/null || { tail -n 20 "$work/demo.txt"; fail "the demo failed"; }

SOURCE_DATE_EPOCH=0 python3 "$repo/packaging/oci/build.py" "$work/dist/amiwall" "$work/again-1.tar"
SOURCE_DATE_EPOCH=0 python3 "$repo/packaging/oci/build.py" "$work/dist/amiwall" "$work/again-2.tar"
cmp "$work/again-1.tar" "$work/again-2.tar" || fail "the image is not the same twice"
mkdir "$work/image" "$work/files"
tar -C "$work/image" -xf "$work/dist/amiwall-oci.tar"
# As an engine reads it: from the index to the manifest, the configuration and the layer, each by its digest.
read -r layer user program < <(python3 - "$work/image" <<'PYTHON'
import hashlib, json, pathlib, sys

image = pathlib.Path(sys.argv[1])
assert json.loads((image / "oci-layout").read_text())["imageLayoutVersion"] == "1.0.0"

def blob(descriptor):
    path = image / "blobs" / descriptor["digest"].replace(":", "/")
    data = path.read_bytes()
    assert len(data) == descriptor["size"] and "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"], path
    return path, data

[described] = json.loads((image / "index.json").read_text())["manifests"]
manifest = json.loads(blob(described)[1])
config = json.loads(blob(manifest["config"])[1])
[layer] = manifest["layers"]
path, data = blob(layer)
assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(data).hexdigest()]
assert {path.name for path in image.glob("blobs/sha256/*")} == {
    one["digest"].split(":")[1] for one in (described, manifest["config"], layer)}
print(path, config["config"]["User"], config["config"]["Entrypoint"][0])
PYTHON
) || fail "the image is wrong"
[ -n "$program" ] || fail "the image is wrong"
[ "${user%%:*}" -gt 0 ] || fail "the image runs as $user"
tar -C "$work/files" -xf "$layer"
[ "$(stat -c '%a %u:%g' "$work/files/var/lib/amiwall")" = "700 $user" ] || fail "the folder of the log is not the user's"
[ "$(find "$work/files" -type f)" = "$work/files$program" ] || fail "there is more in the image than the program"
env -i timeout 120 "$(command -v chroot)" --userspec="$user" "$work/files" "$program" demo >"$work/demo.txt" 2>&1 </dev/null || { tail -n 20 "$work/demo.txt"; fail "the demo failed"; }
echo "self-contained, $(stat -c %s "$work/dist/amiwall") bytes without optimisation; the demo runs in an empty folder and in the image"
