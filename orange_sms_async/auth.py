"""Access tokens: fetched once, shared by every request, replaced when refused."""

import asyncio
import base64
import contextlib
import math
from collections.abc import Awaitable, Callable

import anyio
import attrs

from orange_sms_async.errors import OrangeSMSError, Throttled
from orange_sms_async.remembered import Remembered

# Seconds allowed for renewing a token that is still valid, and seconds before the next try.
_PATIENCE, _PAUSE = 5.0, 15.0


@attrs.frozen
class ClientCredentials:
    """
    The client id and secret of an application, as Orange's portal shows them under "MyApps".

    No repr shows them.

    Attributes:
        id: the client id.
        secret: the client secret.

    Raises:
        ValueError: one of them is empty.
    """

    id: str = attrs.field(repr=False)
    secret: str = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.id or not self.secret:
            raise ValueError("client credentials: neither the id nor the secret may be empty")

    @classmethod
    def from_header(cls, header: str) -> "ClientCredentials":
        """
        Take the ready-made "Authorization header" of the portal: "Basic " and base64.

        Args:
            header: as the portal shows it. Spaces around it are ignored.

        Raises:
            ValueError: it does not have that form. The error does not show it.
        """
        if (pair := _pair(header)) is None:
            del header  # or a traceback with locals would show it
            raise ValueError(
                'client credentials: the header must be "Basic " and the base64 of id:secret'
            )
        return cls(*pair)

    @property
    def header(self) -> str:
        """The credentials as an Authorization header. It is as secret as the secret itself."""
        return "Basic " + base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()


def _pair(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.strip().partition(" ")
    try:
        id_, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (id_, secret) if colon and scheme.lower() == "basic" else None


@attrs.define(eq=False)
class AccessToken:
    """
    One token.

    Attributes:
        value: what follows "Bearer ".
        lifetime: seconds from its issue to its expiry; infinite if Orange did not say.
        proven: whether Orange has ever accepted it. A token whose first use is refused never works.
        ends_at: when it expires, on the event loop's clock.
    """

    value: str = attrs.field(repr=False)
    lifetime: float = math.inf
    proven: bool = False
    ends_at: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.ends_at = asyncio.get_running_loop().time() + self.lifetime

    def lives(self, margin: float) -> bool:
        """
        Tell whether it is valid for more than `margin` seconds from now.

        Args:
            margin: seconds, at most half of the token's lifetime: more than that counts as half.
        """
        return asyncio.get_running_loop().time() < self.ends_at - min(margin, self.lifetime / 2)


class SharedToken:
    """
    One token behind one lock. If many callers need it at once, one fetches it for all of them.

    Args:
        fetch: asks Orange for a token.
        account: counts the token requests of all clients of the account.
    """

    def __init__(self, fetch: Callable[[], Awaitable[AccessToken]], account: Remembered) -> None:
        self._fetch, self._account = fetch, account
        self._lock = anyio.Lock()
        self._token: AccessToken | None = None
        self._failure: OrangeSMSError | None = None
        self._pause_ends_at = -math.inf

    async def get(self, margin: float = 0.0) -> AccessToken:
        """
        Return a token that is valid for `margin` seconds, or for less if it cannot be renewed.

        If renewing fails, the current token is used until it expires. Renewing is tried again
        after a pause.

        Args:
            margin: seconds.

        Raises:
            Throttled: it would be the 51st request in a minute. The error says how long to wait.
            NotSent: no token can be had now. Try again.
            Refused: Orange refuses the credentials or the application, and will refuse them again.
        """
        if token := self._usable(margin):
            return token
        before = self._failure
        async with self._lock:
            if token := self._usable(margin):
                return token
            # Callers that waited while a fetch failed share its failure. Otherwise a thousand sends
            # would ask a dead endpoint a thousand times, one after another.
            if self._failure and self._failure is not before:
                raise self._failure.with_traceback(None)
            if self._token and self._token.lives(0):
                await self._renew_early()
            return self._usable(0) or await self._renew()

    def _usable(self, margin: float) -> AccessToken | None:
        if self._token is None:
            return None
        if margin and asyncio.get_running_loop().time() < self._pause_ends_at:
            margin = 0.0
        return self._token if self._token.lives(margin) else None

    async def _renew_early(self) -> None:
        with contextlib.suppress(OrangeSMSError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._renew()
                return
        self._pause_ends_at = asyncio.get_running_loop().time() + _PAUSE

    async def _renew(self) -> AccessToken:
        try:
            self._account.ask_for_token()
            self._token = await self._fetch()
        except OrangeSMSError as error:
            if isinstance(error, Throttled):
                error.of_tokens = True
            self._failure = error
            raise
        return self._token

    def refused(self, token: AccessToken) -> None:
        """
        Forget a token, unless another has replaced it already.

        Args:
            token: the one that Orange refused.
        """
        if self._token is token:
            self._token = None
