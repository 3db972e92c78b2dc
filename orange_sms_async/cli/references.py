"""The references of a file: where each was first seen, and one for a row that has none."""

import hashlib
import sqlite3


class References:
    """
    What one pass over a file has seen.

    In a temporary database of SQLite's, which keeps itself to a few megabytes of memory: a set of
    a million references takes a hundred.
    """

    def __init__(self) -> None:
        self._seen = sqlite3.connect("", isolation_level=None)
        self._seen.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
        self._seen.execute("CREATE TABLE seen (reference TEXT PRIMARY KEY, row INT) WITHOUT ROWID")
        self._seen.execute("CREATE TABLE alike (content TEXT PRIMARY KEY, times INT) WITHOUT ROWID")

    def first_seen(self, reference: str, row: int) -> int:
        added = self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (reference, row))
        if added.rowcount:
            return row
        found = self._seen.execute("SELECT row FROM seen WHERE reference = ?", (reference,))
        return int(found.fetchone()[0])

    def made_up(self, key: bytes, to: str, text: str) -> str:
        """
        Return the reference of a row that has none: a hash of its number and text.

        The second of two identical rows gets a -2. The place of a row in its file does not count,
        nor does its sender name, so that no row is sent again because others were put in, taken
        out or sorted, or because of another --sender-name.
        """
        # Keyed: a plain hash gives away its number to whoever knows the text and tries them all.
        content = hashlib.blake2b(f"{to}\n{text}".encode(), key=key, digest_size=8).hexdigest()
        times = self._times(content)
        return content if times == 1 else f"{content}-{times}"

    def _times(self, content: str) -> int:
        counted = self._seen.execute(
            "INSERT INTO alike VALUES (?, 1) "
            "ON CONFLICT (content) DO UPDATE SET times = times + 1 RETURNING times",
            (content,),
        )
        return int(counted.fetchall()[0][0])

    def close(self) -> None:
        self._seen.close()
