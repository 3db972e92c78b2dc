"""Whether a file is on a network, where locks cannot be trusted."""

from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_DISTRIBUTED = {"afs", "beegfs", "ceph", "gfs2", "glusterfs", "lustre"}
_SHARED = {"9p", "cifs", "ncpfs", "nfs", "nfs4", "smb2", "smb3", "smbfs", "virtiofs"}
_NETWORK = _DISTRIBUTED | _SHARED | {"fuse.glusterfs", "fuse.s3fs", "fuse.sshfs"}


def network(path: Path) -> str | None:
    """Name the network file system that a file is on; None if it is on none, or that is unknown."""
    try:
        mounts = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None  # not Linux
    folder = path.resolve().parent
    above = [one for one in map(_mounted, mounts) if folder.is_relative_to(one[0])]
    # Of two mounted in one place, the later one is seen.
    _, kind = max(reversed(above), key=lambda one: len(one[0].parts), default=(folder, ""))
    return kind if kind in _NETWORK else None


def _mounted(line: str) -> tuple[Path, str]:
    before, _, after = line.partition(" - ")
    # Spaces in it are written in octal.
    where = before.split()[4].encode(errors="surrogateescape").decode("unicode_escape")
    return Path(where), after.split()[0]
