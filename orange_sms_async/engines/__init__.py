"""The HTTP engines by name. Only an engine's own file knows its HTTP library."""

from collections.abc import Callable
from functools import partial
from importlib import import_module

from orange_sms_async.engines.exchange import Engine

_LIBRARIES = ("httpx", "httpx2", "aiohttp")


def opener(name: str, base_url: str, transport: object | None = None) -> Callable[[], Engine]:
    """
    Find an engine by its library's name; return a function that opens it in a running loop.

    Args:
        name: "httpx", "httpx2" or "aiohttp".
        base_url: where the requests go.
        transport: a transport of that library. The engine uses it, and does not close it.

    Raises:
        ImportError: the library is not installed.
        ValueError: there is no such engine.
    """
    if name not in _LIBRARIES:
        raise ValueError('engine: "httpx", "httpx2" or "aiohttp"')
    try:
        if name == "aiohttp":
            from orange_sms_async.engines.aiohttp import AiohttpEngine  # noqa: PLC0415 -- an extra

            return partial(AiohttpEngine, base_url, transport)
        from orange_sms_async.engines.httpx import HttpxEngine  # noqa: PLC0415 -- aiohttp needs none

        return partial(HttpxEngine, import_module(name), base_url, transport)
    except ImportError as error:
        raise ImportError(f"engine: pip install 'orange-sms-async[{name}]'") from error
