"""Connections to the database: replaced when they are lost, their errors said in our words."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox.postgres.address import Address

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy


Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
_T = TypeVar("_T")
_AT_ONCE = 4  # connections per process; more would gain nothing, and a fleet has many processes
_ANSWER = 5.0  # seconds without a connection or an answer until the database counts as away
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5)  # seconds between attempts; the last one repeats
# Errors after which it is worth trying the same again, as PostgreSQL says.
_AWAY = (
    "08",  # the connection was lost
    "40001",  # serialization failure
    "40P01",  # deadlock
    "53300",  # too many connections
    "55P03",  # lock not available
    "57",  # shutting down, starting up, cancelled
    "25006",  # read-only: it was the primary until a failover
)
_IN_THE_WAY = ("40001", "40P01", "55P03")  # other transactions, not the database
# A pooler may run a statement on another connection, where it was not prepared.
_UNPREPARED = ("26000", "42P05")
READ_ONLY = (
    "it is a read-only replica: name the primary, or add target_session_attrs=read-write to the DSN"
)
NONE = "it contains no outbox: create one with `orange-sms outbox migrate`"
_WORDS = {
    "28": "it refuses the user or the password",
    "3D000": "there is no such database",
    "3F000": NONE,
    "42P01": NONE,
    "42501": "the user may not do that: see the grants in docs/fleet.md",
    "53100": "its disk is full",
    "53200": "it is out of memory",
    "25006": READ_ONLY,
}
_log = logging.getLogger("orange_sms_async.outbox.postgres")


def boot_time() -> float:
    """Return seconds on a clock that goes on while the machine is suspended, if there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Connections:
    """
    A few connections to one database.

    Args:
        address: of the database.

    Attributes:
        name: the outbox's name, for people.
        away: whether the database could not be reached when last tried.
        back_at: on `boot_time`, when it was reached again; None if it was never away.
        queries: how many round trips have begun.
    """

    def __init__(self, address: Address) -> None:
        self._address, self.name = address, address.name
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._pinned = False
        self.away = False
        self.back_at: float | None = None
        self.queries = 0

    async def open(self) -> None:
        """
        Connect once, so that mistakes show at once.

        Raises:
            OutboxUnusable: names the database and the cause.
        """
        try:
            import asyncpg  # noqa: PLC0415 -- an extra, imported when used
        except ImportError:
            raise OutboxUnusable(
                f"{self.name}: asyncpg is missing: pip install 'orange-sms-async[postgres]'"
            ) from None
        # The last one means that the connection was lost in the middle of an answer.
        lost = asyncpg.InterfaceError, asyncpg.InternalClientError
        self._retry_on = (OSError, asyncpg.PostgresError, *lost)
        failed: OutboxUnusable | None = None
        try:
            self._pinned = await self._is_pooled(asyncpg)
            self._pool = await self._make(asyncpg)
        except (*self._retry_on, ValueError) as error:
            failed = self.unusable(error)
        if failed:
            raise failed  # here, without context: the driver's words may show a password
        self.away = False

    async def _is_pooled(self, library: Any) -> bool:
        # A pooler makes up the process number that it reports. Behind one, a prepared statement may
        # be another client's with the same name, and that one would be executed.
        db = await library.connect(
            self._address.dsn, timeout=_ANSWER, command_timeout=_ANSWER, statement_cache_size=0
        )
        try:
            async with db.transaction():
                server: int = await db.fetchval("SELECT pg_backend_pid()")
            return bool(server != db.get_server_pid())
        finally:
            await db.close(timeout=_ANSWER)

    async def _make(self, library: Any) -> "asyncpg.Pool[asyncpg.Record]":
        class Plain(library.Connection):  # type: ignore[misc]
            async def reset(self, *, timeout: float | None = None) -> None:
                """Do nothing: no session is ever changed, and a reset costs a round trip."""

        return await library.create_pool(  # type: ignore[no-any-return]
            self._address.dsn,
            min_size=0,
            max_size=_AT_ONCE,
            timeout=_ANSWER,
            command_timeout=_ANSWER,
            connection_class=Plain,
            statement_cache_size=0 if self._pinned else 100,
        )

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        if pool:
            try:
                async with asyncio.timeout(1):
                    await pool.close()
            except (TimeoutError, *self._retry_on):
                pool.terminate()

    async def once(self, operation: Callable[[Connection], Awaitable[_T]]) -> _T:
        """
        Run an operation, and do not try it again.

        Raises:
            AwayError: the database is away; the operation may have been done.
            OutboxUnusable: the operation cannot be done.
        """
        try:
            async with self._connection() as connection:
                self.queries += 1
                result = await operation(connection)
        except self._retry_on as error:
            failed = await self._told_of(error)
        else:
            self._is_back()
            return result
        raise failed  # here, without context: the driver's words may show a row

    async def _told_of(self, error: BaseException) -> Exception:
        if isinstance(error, OutboxUnusable):
            return error
        if not await self._is_worth_another(error):
            return self.unusable(error)
        self._goes_away(error)
        return AwayError()

    async def until_done(
        self,
        operation: Callable[[Connection, bool], Awaitable[_T]],
        patience: float = float("inf"),
        *,
        begun: bool = False,
    ) -> _T:
        """
        Run an operation, and try it again while the database is away.

        Args:
            operation: also told whether it may have been done already.
            patience: seconds until this gives up.
            begun: whether the operation may have been done before this call.

        Raises:
            OutboxUnusable: the operation cannot be done, or the database stays away.
        """
        late, tries = boot_time() + patience, 0
        while True:
            try:
                return await self.once(
                    partial(_told, operation=operation, repeated=begun or tries > 0)
                )
            except AwayError:
                pause = _PAUSES[min(tries, len(_PAUSES) - 1)]
            if boot_time() + pause > late:
                raise OutboxUnusable(f"{self.name}: it cannot be reached")
            await asyncio.sleep(pause)
            tries += 1

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        if self._pool is None:
            raise OutboxUnusable(f"{self.name}: not open")
        async with self._pool.acquire(timeout=_ANSWER) as connection:
            if self._pinned:
                # Through a pooler, a statement and its parameters may reach different connections.
                async with connection.transaction(isolation="read_committed"):
                    yield connection
            else:
                yield connection

    async def _is_worth_another(self, error: BaseException) -> bool:
        code = getattr(error, "sqlstate", None)
        if code in _UNPREPARED and not self._pinned:
            await self.pin()
            return True
        return code is None or code.startswith(_AWAY)

    async def pin(self) -> None:
        """From now on, run everything in READ COMMITTED transactions, and prepare nothing."""
        import asyncpg  # noqa: PLC0415

        self._pinned = True
        old, self._pool = self._pool, await self._make(asyncpg)
        if old:
            old.terminate()

    def _goes_away(self, error: BaseException) -> None:
        if getattr(error, "sqlstate", None) in _IN_THE_WAY:
            return
        if not self.away:
            _log.warning(
                "%s: %s: trying again",
                self.name,
                in_words(error),
                extra={"event": "database_away", "error": type(error).__name__},
            )
        self.away = True

    def _is_back(self) -> None:
        if self.away:
            _log.warning("%s: reached again", self.name, extra={"event": "database_reached"})
            self.away, self.back_at = False, boot_time()

    def unusable(self, error: BaseException) -> OutboxUnusable:
        return OutboxUnusable(f"{self.name}: {in_words(error)}")


def _told(
    connection: Connection,
    operation: Callable[[Connection, bool], Awaitable[_T]],
    *,
    repeated: bool,
) -> Awaitable[_T]:
    return operation(connection, repeated)


class AwayError(Exception):
    """The database is away for now. The operation may have been done, or not."""


def in_words(error: BaseException) -> str:
    """Say what is wrong, without the error's own words: they may show a row or a password."""
    code = getattr(error, "sqlstate", None)
    if code is not None:
        words = next((words for start, words in _WORDS.items() if code.startswith(start)), "")
        return words or f"{type(error).__name__} ({code})"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError):
        return f"no connection ({type(error).__name__})"
    if isinstance(error, ValueError):
        return "the DSN cannot be read"
    return f"no connection ({type(error).__name__})"
