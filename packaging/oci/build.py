#!/usr/bin/env python3
"""build.py PROGRAM IMAGE: an OCI image (a tar of an image layout) of the self-contained amiwall, as the Containerfile says,
for machines without a container engine. The same program and SOURCE_DATE_EPOCH make the same image, byte for byte."""

import hashlib
import io
import json
import os
import platform
import sys
import tarfile
import time

EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
USER = 900
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
TYPE = "application/vnd.oci.image."


def entry(archive, name, data=None, mode=0o755, user=0):
    """Adds a file or, without data, a folder."""
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid, info.mtime = mode, user, user, EPOCH
    if data is None:
        info.type = tarfile.DIRTYPE
    else:
        info.size = len(data)
    archive.addfile(info, None if data is None else io.BytesIO(data))


def layer(program):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for folder in ("etc", "etc/amiwall", "usr", "usr/bin", "var", "var/lib"):
            entry(archive, folder)
        entry(archive, "var/lib/amiwall", mode=0o700, user=USER)
        entry(archive, "tmp", mode=0o1777)
        entry(archive, "usr/bin/amiwall", program)
    return data.getvalue()


def main(program_path, image_path):
    with open(program_path, "rb") as file:
        files = layer(file.read())
    blobs = {}

    def blob(kind, data):
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": TYPE + kind, "digest": "sha256:" + digest, "size": len(data)}

    def document(kind, content):
        return blob(kind, json.dumps(content, sort_keys=True).encode())

    layer_blob = blob("layer.v1.tar", files)
    system = {"architecture": ARCHITECTURES[platform.machine()], "os": "linux"}
    config = document("config.v1+json", {
        **system,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH)),
        "config": {
            "User": f"{USER}:{USER}", "ExposedPorts": {"5039/tcp": {}}, "Volumes": {"/var/lib/amiwall": {}},
            "Entrypoint": ["/usr/bin/amiwall"], "Cmd": ["run", "/etc/amiwall/policy.yaml"], "StopSignal": "SIGTERM",
        },
        "rootfs": {"type": "layers", "diff_ids": [layer_blob["digest"]]},
    })
    manifest = document("manifest.v1+json", {
        "schemaVersion": 2, "mediaType": TYPE + "manifest.v1+json", "config": config, "layers": [layer_blob],
    })
    index = {"schemaVersion": 2, "mediaType": TYPE + "index.v1+json", "manifests": [{**manifest, "platform": system}]}
    with tarfile.open(image_path, "w", format=tarfile.USTAR_FORMAT) as image:
        entry(image, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}', 0o644)
        entry(image, "index.json", json.dumps(index, sort_keys=True).encode(), 0o644)
        entry(image, "blobs")
        entry(image, "blobs/sha256")
        for digest, data in sorted(blobs.items()):
            entry(image, "blobs/sha256/" + digest, data, 0o644)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
