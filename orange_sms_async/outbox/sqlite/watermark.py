"""How far a file has come, noted beside it, so that an older state is recognised."""

import os
from pathlib import Path

_DIGITS = 20  # two in one sector, so that a power cut leaves the old number or the new one


class Watermark:
    """
    The number of the last transaction of a file, in `NAME.mark`, and of the last one written back.

    Each is written after what it notes, never before. A file behind its mark has lost transactions:
    its log is gone or was cut, or a copy was put in its place. If the file without its log is
    behind what was written back, it is a copy, and the log is from another time.
    """

    def __init__(self, path: Path) -> None:
        self._beside = path.with_name(f"{path.name}.mark")
        self._file = -1

    def read(self) -> tuple[int, int] | None:
        """Return the two numbers; None if there is no mark."""
        try:
            numbers = self._beside.read_bytes()
            return int(numbers[:_DIGITS]), int(numbers[_DIGITS:] or b"0")
        except (FileNotFoundError, ValueError):
            return None

    def open(self, of: Path, number: int, *, fresh: bool) -> None:
        """Prepare to note numbers, starting with this one if the mark is fresh."""
        self._file = os.open(self._beside, os.O_RDWR | os.O_CREAT, 0o600)
        if fresh:
            os.ftruncate(self._file, 0)
            own_as(self._file, like=of)
            self.note(number)
            # If a power cut removed the mark, the file would be taken for a copy.
            os.fsync(self._file)
            sync_folder(self._beside)

    def note(self, number: int) -> None:
        os.pwrite(self._file, b"%0*d" % (_DIGITS, number), 0)

    def note_written_back(self, number: int) -> None:
        os.pwrite(self._file, b"%0*d" % (_DIGITS, number), _DIGITS)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def own_as(file: int, like: Path) -> None:
    """Give a file beside an outbox the same owner and mode, even if root was there first."""
    owner = like.stat()
    os.fchmod(file, owner.st_mode & 0o666)
    if os.geteuid() == 0:
        os.fchown(file, owner.st_uid, owner.st_gid)


def sync_folder(path: Path) -> None:
    # After a power cut, a new file is there only if its folder was written, too.
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
