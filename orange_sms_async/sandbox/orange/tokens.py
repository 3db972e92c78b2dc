"""Access tokens: issued for an id and a secret, checked on every request, expired."""

import asyncio
import base64
import binascii
import hmac
import json
import secrets
from collections import OrderedDict

import attrs

from orange_sms_async.sandbox.orange.answers import (
    Answer,
    RefusalError,
    gateway_error,
    in_json,
    token_error,
)
from orange_sms_async.sandbox.orange.incoming import Incoming
from orange_sms_async.sandbox.orange.limits import Rolling
from orange_sms_async.sandbox.orange.wrong import Wrong
from orange_sms_async.sandbox.settings import ExpiresIn

V3_LIFETIME = 3_600.0  # seconds (D)
V2_LIFETIME = 7_776_000.0  # 90 days, as the pages of v2 said

_REMEMBERED = 1_000  # tokens; one older than these is unknown rather than expired


@attrs.frozen
class Issued:
    """
    The life of a token, by the clock of the event loop.

    Attributes:
        at: when it was issued.
        until: when it expires.
    """

    at: float
    until: float


@attrs.define(kw_only=True, repr=False, eq=False)
class Tokens:
    """
    The token endpoint, and the check of its tokens.

    Attributes:
        client_id: the id that tokens are issued for.
        client_secret: its secret.
        lifetime: seconds; None for Orange's own.
        expires_in: how the answer gives the lifetime: `"3600"` as on Orange's pages, `3600` as in
            one recording, or not at all.
    """

    client_id: str
    client_secret: str
    lifetime: float | None
    expires_in: ExpiresIn
    _issued: OrderedDict[str, Issued] = attrs.field(factory=OrderedDict, init=False)
    _limit: Rolling = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._limit = _fifty_a_minute()

    @property
    def authorization(self) -> str:
        """The header that asks for a token."""
        pair = f"{self.client_id}:{self.client_secret}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    def answer(self, incoming: Incoming, now: float) -> Answer:
        """
        Answer a request for a token.

        Raises:
            RefusalError: too many requests, a malformed one, or a wrong id or secret.
        """
        if not self._limit.admit(now):
            raise RefusalError(gateway_error(53, status=429), Wrong.TOO_MANY_TOKENS)
        form = incoming.form()
        if "grant_type" not in form:  # captured, word for word
            refusal = token_error(400, "invalid_request", "Missing grant_type in body")
            raise RefusalError(refusal, Wrong.NO_GRANT_TYPE)
        if form["grant_type"] != "client_credentials":
            refusal = token_error(400, "unsupported_grant_type", "The grant type is not supported.")
            raise RefusalError(refusal, Wrong.OTHER_GRANT_TYPE)
        if not self._known(incoming, form):
            # The pages list the gateway's code 41 here; this is what was captured.
            raise RefusalError(
                token_error(
                    401,
                    "invalid_client",
                    "The requested service needs credentials, but the ones provided were invalid.",
                ),
                Wrong.UNKNOWN_CLIENT,
            )
        return in_json(200, self._issue(now, self._lifetime(incoming)))

    def _lifetime(self, incoming: Incoming) -> float:
        if self.lifetime is not None:
            return self.lifetime
        return V2_LIFETIME if incoming.path.startswith("/oauth/v2/") else V3_LIFETIME

    def _known(self, incoming: Incoming, form: dict[str, str]) -> bool:
        offered = incoming.headers.get("authorization")
        if offered is None:  # id and secret may also travel as form fields (D)
            offered_pair = f"{form.get('client_id')}:{form.get('client_secret')}"
        else:
            offered_pair = _basic(offered)
        pair = f"{self.client_id}:{self.client_secret}"
        return hmac.compare_digest(pair.encode(), offered_pair.encode(errors="replace"))

    def _issue(self, now: float, lifetime: float) -> dict[str, object]:
        token = _made_up_token()
        self._issued[token] = Issued(now, now + lifetime)
        if len(self._issued) > _REMEMBERED:
            self._issued.popitem(last=False)
        # In the documented order: one existing client takes the second field.
        answer: dict[str, object] = {"token_type": "Bearer", "access_token": token}
        if self.expires_in == "string":
            answer["expires_in"] = str(int(lifetime))
        elif self.expires_in == "number":
            answer["expires_in"] = int(lifetime)
        return answer

    def check(self, incoming: Incoming, now: float) -> None:
        """
        Check the token of a request.

        Raises:
            RefusalError: it is missing, was not issued here, or has expired.
        """
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        # "Missing Authorization header, missing token, missing Bearer prefix" (D).
        if scheme.lower() != "bearer" or not token.strip():
            raise RefusalError(gateway_error(40), Wrong.NO_CREDENTIALS)
        issued = self._issued.get(token.strip())
        if issued is None:
            raise RefusalError(gateway_error(41), Wrong.NOT_ISSUED)
        if now >= issued.until:
            raise RefusalError(gateway_error(42), Wrong.OUT_OF_DATE)

    def expire(self) -> None:
        """Expire all tokens."""
        for token, issued in self._issued.items():
            self._issued[token] = Issued(issued.at, float("-inf"))

    def forget(self) -> None:
        """Make all tokens unknown."""
        self._issued.clear()

    def start_anew(self) -> None:
        """Forget all tokens, and how many were requested."""
        self.forget()
        self._limit = _fifty_a_minute()

    @staticmethod
    def now() -> float:
        """Return the time by which tokens age."""
        return asyncio.get_running_loop().time()

    @property
    def newest_first(self) -> list[Issued]:
        """All tokens, newest first."""
        return list(reversed(self._issued.values()))


def _fifty_a_minute() -> Rolling:
    # "More than 50 token requests a minute" are answered 429 (D).
    return Rolling(50 / 60, window=60)


def _basic(authorization: str) -> str:
    scheme, _, encoded = authorization.partition(" ")
    try:
        pair = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        pair = ""
    if scheme.lower() != "basic" or ":" not in pair:
        # Seen: this error has words of its own. These words are a choice.
        words = "The Authorization header could not be decoded."
        raise RefusalError(token_error(401, "invalid_client", words), Wrong.BASIC)
    return pair


def _made_up_token() -> str:
    """Make up a token that looks like Orange's: a JWT of about 600 characters."""
    head = {"typ": "JWT", "alg": "RS256", "kid": "sandbox"}
    claims = {"iss": "orange-sandbox", "jti": secrets.token_hex(48)}
    parts = [json.dumps(part).encode() for part in (head, claims)]
    parts.append(secrets.token_bytes(256))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
