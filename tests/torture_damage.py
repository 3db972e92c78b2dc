"""
Files damaged between two lives: each is refused in words, or works; none sends a message again.

    python tests/torture_damage.py --files 220 [--seed N]

What it does not show: a bit that flips in a number or a text, which nobody can tell.
"""

import argparse
import contextlib
import math
import random
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import attrs
from torture import end_with
from torture_member import REFUSED, Member

from orange_sms_async._served import Served
from orange_sms_async.sandbox import Sandbox

RATE = 100.0
OF_A_LIFE = 18  # damaged files of what one process left
LONGEST = 3.0  # seconds that it lives
HANGS = 30.0  # seconds after which a process that works on a damaged file is one that hangs


# -- what happens to a file ------------------------------------------------------------------------


def cut(folder: Path, older: Path, chance: random.Random) -> None:
    file = one_of(folder, chance)
    with file.open("r+b") as opened:
        opened.truncate(chance.randrange(file.stat().st_size))


def flipped(folder: Path, older: Path, chance: random.Random) -> None:
    file = one_of(folder, chance)
    content = bytearray(file.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def overwritten(folder: Path, older: Path, chance: random.Random) -> None:
    file = one_of(folder, chance)
    with file.open("r+b") as opened:
        opened.seek(chance.randrange(file.stat().st_size))
        opened.write(chance.randbytes(chance.randrange(1, 8_192)))


def without_log(folder: Path, older: Path, chance: random.Random) -> None:
    (folder / "outbox.db-wal").unlink(missing_ok=True)
    if chance.random() < 0.5:
        (folder / "outbox.db-shm").unlink(missing_ok=True)


def without_mark(folder: Path, older: Path, chance: random.Random) -> None:
    (folder / "outbox.db.mark").unlink()
    if chance.random() < 0.5:
        without_log(folder, older, chance)


def replaced(folder: Path, older: Path, chance: random.Random) -> None:
    """Put a copy of another time in the place of the file, or of its log, or of both."""
    names = chance.choice([["outbox.db"], ["outbox.db-wal"], ["outbox.db", "outbox.db-wal"]])
    for name in names:
        shutil.copy(older / name, folder)


Damage = Callable[[Path, Path, random.Random], None]
DAMAGES: tuple[Damage, ...] = (cut, flipped, overwritten, without_log, without_mark, replaced)


def one_of(folder: Path, chance: random.Random) -> Path:
    names = ["outbox.db", "outbox.db", "outbox.db-wal", "outbox.db-wal", "outbox.db.mark"]
    files = [folder / name for name in names]
    return chance.choice([file for file in files if file.exists() and file.stat().st_size])


# -- the one that damages and compares -------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Figures:
    """What came of it; `violations` is empty when all is well."""

    files: int
    ends: Counter[str]
    sent: int
    seconds: float
    seed: int
    violations: list[str]

    def __str__(self) -> str:
        ends = "".join(f"\n  {count} {end}" for end, count in sorted(self.ends.items()))
        return (
            f"{self.files} damaged files, from which {self.sent} messages were sent; "
            f"{len(self.violations)} violations; seed {self.seed}, {self.seconds:.0f} s{ends}"
        )


class Torture:
    """Files that a killed process left, what is done to them, and what the next one does then."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed, self._chance = folder, seed, random.Random(seed)
        self._sandbox = Sandbox(rate=None, latency=0.01, jitter=0.02, seed=seed, keep=1_000_000)
        self._ends = Counter[str]()
        self._sent = 0
        self._violations: list[str] = []

    def run(self, files: int) -> Figures:
        start = time.monotonic()
        with Served(self._sandbox) as served:
            for number in range(files):
                if number % OF_A_LIFE == 0:
                    left, older = self._leave(served.base_url, number // OF_A_LIFE)
                    before = [sent.text for sent in self._sandbox.sent]
                damaged = shutil.copytree(left, self._folder / f"damaged-{number}")
                damage = DAMAGES[number % len(DAMAGES)]
                damage(damaged, older, self._chance)
                self._live(damaged, served.base_url, f"{number}, {damage.__name__}", before)
        return Figures(
            files=files,
            ends=self._ends,
            sent=self._sent,
            seconds=time.monotonic() - start,
            seed=self._seed,
            violations=self._violations,
        )

    def _leave(self, url: str, number: int) -> tuple[Path, Path]:
        """Return what a process that was killed has left, and copies of a time before."""
        folder = self._folder / f"life-{number}"
        folder.mkdir()
        server = url, self._sandbox.authorization, RATE
        # More than can leave: some wait in the end.
        life = Member(str(folder / "outbox.db"), *server, f"m{number}", 0.5 / RATE)
        while not life.admitted:
            time.sleep(0.01)
        time.sleep(self._chance.uniform(0.5, LONGEST / 2))
        older = shutil.copytree(folder, self._folder / f"older-{number}")
        time.sleep(self._chance.uniform(0.1, LONGEST / 2))
        life.send(signal.SIGKILL)
        life.end(HANGS)
        if number % 2:  # the log was just written back: all is in the file itself
            with contextlib.closing(sqlite3.connect(folder / "outbox.db")) as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return folder, older

    def _live(self, folder: Path, url: str, which: str, before: list[str]) -> None:
        first = len(self._sandbox.sent)
        server = url, self._sandbox.authorization, math.inf
        life = Member(str(folder / "outbox.db"), *server, "", None)
        code = life.end(HANGS)
        words = life.refused[-1].rpartition("outbox.db: ")[2] if life.refused else ""
        end = words.partition(":")[0] or "works"
        self._ends[f"× {which.partition(', ')[2]}: {end}"] += 1
        if code not in (0, REFUSED) or (code == REFUSED and not words):
            self._violations.append(f"{which}: it ended with {code}")
        sent = [sent.text for sent in self._sandbox.sent][first:]
        self._sent += len(sent)
        times = Counter(sent + before)
        again = [text for text in sent if times[text] > 1]
        if again:
            self._violations.append(f"{which}: {len(again)} sent again, {again[0]} among them")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--files", type=int, default=220)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = Torture(Path(folder), wanted.seed).run(wanted.files)
    end_with(figures)


if __name__ == "__main__":
    main()
