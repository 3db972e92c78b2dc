"""The address of a database, and a name for it that shows no password."""

import re
from urllib.parse import urlsplit

import attrs

_SCHEMES = ("postgresql://", "postgres://")


def is_dsn(text: str) -> bool:
    """Tell whether a string names a database rather than a file."""
    return text.startswith(_SCHEMES)


@attrs.frozen
class Address:
    """
    Where an outbox is.

    Attributes:
        dsn: of the database, with its parameters; no repr shows it.
        account: the account's name.
        shown: for a person: hosts and database.
        name: the same, and the account.
    """

    dsn: str = attrs.field(repr=False)
    account: str
    shown: str = attrs.field(init=False)
    name: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.dsn, str) or not is_dsn(self.dsn):
            raise ValueError("dsn: must begin with postgresql://")
        object.__setattr__(self, "shown", _shown(self.dsn))
        object.__setattr__(self, "name", f"outbox {self.shown}, account {self.account}")


def _shown(dsn: str) -> str:
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return "postgresql://…"
    # An @ further on: a password contains what ends an address, so nobody knows where it ends.
    doubtful = "@" in f"{parts.path}{parts.query}{parts.fragment}"
    shown = f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return shown if re.fullmatch(r"[\x21-\x7e]+", shown) and not doubtful else "postgresql://…"
