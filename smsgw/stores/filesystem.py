"""What the store asks of the file system it is on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

NETWORK: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
)
"""File systems on which neither locks nor syncs can be relied on."""


def free_octets(path: Path) -> int:
    """How much may still be written there."""
    system = os.statvfs(path)
    return system.f_bavail * system.f_frsize


def network_kind(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The kind of network file system `path` is on; empty if it is none, or nobody can tell."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    place = os.fspath(path.resolve())
    best, kind = "", ""
    for line in lines:
        _, point, name, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if (place == point or place.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, name
    return kind if kind in NETWORK else ""
