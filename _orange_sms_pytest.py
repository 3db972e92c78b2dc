"""
Fixtures for testing against a simulated Orange. pytest finds them by itself.

The module is outside the package, because importing a part of the package imports the package.
pytest imports this in every run, so each fixture imports what it needs only when it is used.
"""

import contextlib
import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from orange_sms_async import Client
    from orange_sms_async.clock import JumpingClock
    from orange_sms_async.sandbox import Sandbox

_NO_EXTRA = "the sandbox needs: pip install 'orange-sms-async[sandbox]'"
_NO_LOOP = (
    "orange_clock: an `async def` test needs pytest-asyncio 1.4 or newer, in its mode 'auto' or "
    "marked `asyncio`; with anyio, a fixture `anyio_backend` that returns "
    "('asyncio', {'loop_factory': orange_clock})"
)


@pytest.fixture
def orange_sandbox_settings() -> Mapping[str, Any]:
    """The arguments of `orange_sandbox`'s `Sandbox`: override the fixture to change them."""
    return {}


@pytest.fixture
def orange_sandbox(orange_sandbox_settings: Mapping[str, Any]) -> "Sandbox":
    """Orange simulated in this process: `.sent`, `.fail_next()`, `await .deliver()`, `.account`."""
    import secrets

    with _extra():
        from orange_sms_async.sandbox import Sandbox
    # An account of its own: what the process remembers about it must not affect the next test.
    own_id = {"client_id": f"sandbox-{secrets.token_hex(8)}"}
    return Sandbox(**{**own_id, **orange_sandbox_settings})


@pytest.fixture
def orange_client(orange_sandbox: "Sandbox") -> "Iterator[Client]":
    """An open `Client` whose Orange is `orange_sandbox`."""
    import asyncio

    from orange_sms_async import Client, ClientCredentials

    credentials = ClientCredentials.from_header(orange_sandbox.authorization)
    client = Client(credentials, transport=orange_sandbox.transport)
    # Opening and closing wait for nothing, so that any loop will do, and the client works with
    # pytest-asyncio, anyio and `asyncio.run` alike.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(client.__aenter__())
        yield client
        runner.run(client.__aexit__(None, None, None))


@pytest.fixture
def orange_sandbox_url(orange_sandbox: "Sandbox") -> Iterator[str]:
    """The address of `orange_sandbox`, served over HTTP by a thread while the test runs."""
    with _extra():
        from orange_sms_async._served import Served
    with Served(orange_sandbox) as served:
        yield served.base_url


@pytest.fixture
def orange_clock(request: pytest.FixtureRequest) -> "JumpingClock":
    """A clock that jumps to the next timer; an `async def` test that asks for it runs on it."""
    from orange_sms_async.clock import JumpingClock

    callspec = getattr(request.node, "callspec", None)
    for value in callspec.params.values() if callspec else ():
        if isinstance(value, JumpingClock):
            return value  # the one that pytest-asyncio was given below
    if (
        inspect.iscoroutinefunction(request.function)
        and "anyio_backend" not in request.fixturenames
    ):
        pytest.fail(_NO_LOOP, pytrace=False)
    return JumpingClock()


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None, None, None]:
    if "orange_clock" not in metafunc.fixturenames:
        return (yield)
    # For this test only: if anyone defines this hook, pytest-asyncio gives all tests a parameter.
    plugins = metafunc.config.pluginmanager
    clock = plugins.register(_OnTheClock())
    try:
        return (yield)
    finally:
        plugins.unregister(name=clock)


class _OnTheClock:
    @pytest.hookimpl(optionalhook=True)
    def pytest_asyncio_loop_factories(self) -> Mapping[str, Callable[[], Any]]:
        from orange_sms_async.clock import JumpingClock

        return {"orange_clock": JumpingClock()}


@contextlib.contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError:
        raise pytest.fail.Exception(_NO_EXTRA, pytrace=False) from None
