"""The account to use: from the environment, or from the user's own file of settings."""

import asyncio
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

from orange_sms_async import Client, ClientCredentials
from orange_sms_async.cli.exits import stop_with

_KEYS = ("client_id", "client_secret", "authorization", "base_url")
_CREDENTIALS = ("CLIENT_ID", "CLIENT_SECRET", "AUTHORIZATION")


def client(rate: float = 5.0) -> Client:
    """Make a client for the user's account, or end with a one-line error."""
    made = _client_of_account(rate)
    try:
        asyncio.run(_try(made))
    except (ImportError, ValueError, OSError) as error:
        # Not the error's words: the address of a proxy may hold a password.
        named = "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY or SSL_CERT_FILE"
        stop_with(f"{named} cannot be used ({type(error).__name__})")
    return made


async def _try(client: Client) -> None:
    async with client:
        pass


def _client_of_account(rate: float) -> Client:
    # From one place: credentials of the environment never go to an address of the file.
    if any(map(_from_env, _CREDENTIALS)):
        missing = ""
    else:
        path = _path()
        try:
            if (kept := _read(path)) is not None:
                return _client(kept, rate)
        except ValueError as error:
            stop_with(f"{path}: {error}")
        missing = f", and there is no {path}"
    try:
        return Client.from_env(rate=rate)
    except ValueError as error:
        tried = "To try without an account, run `orange-sms sandbox`"
        stop_with(f"{error}{missing}. {tried}.")


def _from_env(name: str) -> str:
    return os.environ.get(f"ORANGE_SMS_{name}", "")


def _path() -> Path:
    home = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    # "If an implementation encounters a relative path [...] it should consider the path invalid
    # and ignore it." -- XDG Base Directory Specification
    if not home.is_absolute():
        home = Path.home() / ".config"
    return home / "orange-sms" / "config.toml"


def _read(path: Path) -> dict[str, str] | None:
    """
    Read the file; None if there is none.

    Raises:
        ValueError: the file cannot be used; the message shows none of its contents.
    """
    try:
        with path.open("rb") as file:
            _check_mode(path, os.fstat(file.fileno()).st_mode)
            kept = tomllib.loads(file.read().decode())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ValueError(error.strerror) from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    _check_keys(kept)
    return kept


def _check_mode(path: Path, mode: int) -> None:
    # Windows keeps no such bits: who may read a file there is inherited from the user's folder.
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise ValueError(f"others can read the secret in it: `chmod 600 {path}` fixes that")


def _check_keys(kept: Mapping[str, object]) -> None:
    if unknown := [key for key in kept if key not in _KEYS]:
        named = ", ".join(f'"{key}"' for key in unknown)
        raise ValueError(f"unknown key {named}; the keys are {', '.join(_KEYS)}")
    if wrong := [key for key, value in kept.items() if not isinstance(value, str)]:
        raise ValueError(f'{wrong[0]}: write it between quotes: {wrong[0]} = "..."')


def _client(kept: Mapping[str, str], rate: float) -> Client:
    base_url, credentials = _from_env("BASE_URL") or kept.get("base_url"), _credentials(kept)
    if base_url:
        return Client(credentials, base_url=base_url, rate=rate)
    return Client(credentials, rate=rate)


def _credentials(kept: Mapping[str, str]) -> ClientCredentials:
    if "authorization" in kept:
        return ClientCredentials.from_header(kept["authorization"])
    for key in ("client_id", "client_secret"):
        if not kept.get(key):
            raise ValueError(f"{key} or authorization is missing")
    return ClientCredentials(kept["client_id"], kept["client_secret"])
