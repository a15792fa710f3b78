#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Cut the ELF kernel out of a bzImage: `vmlinux.py VMLINUZ OUT`.

QEMU enters an ELF kernel by its PVH note, which saves the seconds the kernel would
spend decompressing itself under emulation.  The boot protocol's header says where the
payload is; its last four bytes are the unpacked size.
"""
import struct
import subprocess
import sys

UNPACK = {
    b"\x28\xb5\x2f\xfd": ["zstd", "-dcq"],
    b"\xfd7zX": ["xz", "-dcq"],
    b"\x1f\x8b": ["gzip", "-dcq"],
}


def main(source, target):
    image = open(source, "rb").read()
    if image[0x202:0x206] != b"HdrS":
        sys.exit(f"error: {source} is no bzImage (no HdrS header)")
    sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (sectors + 1) * 512 + offset
    payload = image[start:start + length]
    for magic, command in UNPACK.items():
        if payload.startswith(magic):
            break
    else:
        sys.exit(f"error: {source}: unknown kernel compression {payload[:4].hex()}")
    # gzip ends in the unpacked size by itself; to zstd and xz the kernel's build adds it
    body = payload if command[0] == "gzip" else payload[:-4]
    out = subprocess.run(command, input=body, stdout=subprocess.PIPE, check=True).stdout
    if not out.startswith(b"\x7fELF"):
        sys.exit(f"error: {source}: the payload is not an ELF file")
    with open(target, "wb") as f:
        f.write(out)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: vmlinux.py VMLINUZ OUT")
    main(*sys.argv[1:])
