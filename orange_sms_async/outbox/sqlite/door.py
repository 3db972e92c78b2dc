"""A way into the file for code without an event loop: Django, Flask, Celery, plain scripts."""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar, Unpack

from orange_sms_async.messages import OutboundMessage
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.sqlite import damage, database, statements
from orange_sms_async.outbox.sqlite.damage import DamagedError
from orange_sms_async.outbox.sqlite.database import Opened
from orange_sms_async.outbox.sqlite.schema import OUTBOX
from orange_sms_async.outbox.terms import Terms, as_entry
from orange_sms_async.outcomes import Outcome

_T = TypeVar("_T")


class _Connection:
    """What the threads of one process share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened: Opened | None = None


class Door:
    """
    Puts messages in and looks them up; opened on first use.

    Args:
        path: of the file, which is created if there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Of this process and those it was forked from. Theirs are kept, and never closed here:
        # closing them would release locks, and remove their log.
        self._of_process: dict[int, _Connection] = {}
        weakref.finalize(self, _close, self._of_process)

    def put(self, message: OutboundMessage, **terms: Unpack[Terms]) -> None:
        entry = as_entry(message, **terms)
        self._do(partial(_admit, entry))

    def outcome(self, reference: str) -> Outcome:
        found = self._do(lambda opened: opened.read(lambda db: statements.find(db, reference)))
        if found is None:
            raise KeyError(reference)
        return found

    def _do(self, what: Callable[[Opened], _T]) -> _T:
        here = self._of_process.setdefault(os.getpid(), _Connection())
        try:
            with here.lock:
                if here.opened is None:
                    here.opened = database.connect(self._path, OUTBOX)
                return what(here.opened)
        except (sqlite3.Error, DamagedError) as error:
            raise OUTBOX.unusable(self._path, damage.explained(error, OUTBOX)) from None


def _close(of_process: dict[int, _Connection]) -> None:
    here = of_process.get(os.getpid())
    if here and here.opened:
        here.opened.close()


def _admit(entry: Entry, opened: Opened) -> None:
    opened.give_way()
    now = time.time()
    opened.write([lambda db: statements.admit(db, entry, now)])
