"""Converts Orange's JSON to our values and back, and refusals to errors; no I/O, no clock."""

import contextlib
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from orange_sms_async.account import Contract, PurchaseOrder, UsageStatistics
from orange_sms_async.errors import (
    AccessDenied,
    AuthenticationFailed,
    ConnectionFailed,
    ContractRefused,
    InvalidReceipt,
    OrangeSMSError,
    OutcomeUnknown,
    RequestRejected,
    ServiceUnavailable,
    Throttled,
    TokenExpired,
)
from orange_sms_async.messages import OutboundMessage, ResourceId, SentMessage
from orange_sms_async.receipts import DeliveryReceipt, InboundMessage

_T = TypeVar("_T")


@attrs.define
class Answer:
    """
    An HTTP answer, from any engine.

    Attributes:
        headers: looked up by lower-case names. No repr shows them: they may repeat what was sent.
        body: decompressed. It is also empty if only the head of the answer came.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(default=b"", repr=False)

    @property
    def request_id(self) -> str | None:
        return self.headers.get("x-oapi-request-id")

    def json(self) -> Any:
        """
        Parse the body.

        Raises:
            ValueError: it is not JSON, or is nested too deeply.
        """
        return _parse(self.body)


def _parse(body: str | bytes, parse_float: type[Decimal] | None = None) -> Any:
    # Given a parse_float, json makes a new decoder for each text.
    try:
        return json.loads(body, parse_float=parse_float)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


# -- values -------------------------------------------------------------------------------------

_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)

_converter = cattrs.Converter(detailed_validation=False)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


@_converter.register_structure_hook_factory(attrs.has)
def _by_camel_case(class_: type[Any]) -> Any:
    names = {field.name: override(rename=_camel(field.name)) for field in attrs.fields(class_)}
    return make_dict_structure_fn(class_, _converter, **names)  # type: ignore[arg-type]


@_converter.register_structure_hook
def _text(value: Any, _: type) -> str:
    if not isinstance(value, str | int | Decimal):
        raise TypeError("not a string")
    return str(value)


@_converter.register_structure_hook
def _date(value: Any, _: type) -> datetime:
    date = datetime.fromisoformat(value)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


@_converter.register_structure_hook
def _price(value: Any, _: type) -> Decimal:
    return Decimal(value)


@_converter.register_unstructure_hook
def _request(message: OutboundMessage) -> dict[str, Any]:
    request: dict[str, Any] = {
        "address": f"tel:{message.to}",
        "senderAddress": message.sender_address,
        "outboundSMSTextMessage": {"message": message.text},
    }
    if message.sender_name is not None:
        request["senderName"] = message.sender_name
    return {"outboundSMSMessageRequest": request}


def send_request(message: OutboundMessage) -> bytes:
    """Orange's body for a message (Getting started, 3.1 and 3.2)."""
    return json.dumps(_converter.unstructure(message)).encode()


def sent_message(answer: Answer) -> SentMessage:
    """
    Read the 201.

    Raises:
        OutcomeUnknown: with `accepted`. Orange took the message, although the 201 has no readable
            id: sending it again would send it twice.
    """
    resource_id = _last_segment(_resource_url(answer)) or _last_segment(
        answer.headers.get("location")
    )
    if resource_id:
        return SentMessage(resource_id=ResourceId(resource_id), request_id=answer.request_id)
    error = OutcomeUnknown(
        "Orange took the message, but its answer contains no resource id",
        status_code=answer.status,
        request_id=answer.request_id,
    )
    error.accepted = True
    raise error


def _resource_url(answer: Answer) -> Any:
    try:
        return answer.json()["outboundSMSMessageRequest"]["resourceURL"]
    except _UNREADABLE:
        return None


def _last_segment(url: Any) -> str:
    return url.rpartition("/")[2] if isinstance(url, str) else ""


def access_token(answer: Answer) -> tuple[str, float]:
    """
    Read the token and its lifetime in seconds; infinite if Orange gave none.

    Raises:
        ConnectionFailed: the answer contains no token.
    """
    with contextlib.suppress(*_UNREADABLE):
        return _token(answer.json())
    # Raised out here, so that no frame in the traceback holds the answer's content.
    raise _unreadable(answer, "the token endpoint gave no readable answer")


def _token(body: Any) -> tuple[str, float]:
    # "3600" on all of Orange's pages, the number 3600 in a capture.
    lifetime = float(body.get("expires_in") or 0)
    return _visible(body["access_token"]), lifetime if lifetime > 0 else math.inf


def _visible(token: str) -> str:
    # The HTTP library would refuse a token with a line break, and show it in its error.
    if not re.fullmatch("[!-~]+", token):
        raise ValueError("not a token")
    return token


def contracts(answer: Answer) -> list[Contract]:
    return _read(answer, list[Contract], _array)


def purchase_orders(answer: Answer) -> list[PurchaseOrder]:
    return _read(answer, list[PurchaseOrder], _array)


def usage_statistics(answer: Answer) -> list[UsageStatistics]:
    return _read(answer, list[UsageStatistics], _flat_statistics)


def _array(body: Any) -> list[Any]:
    if not isinstance(body, list):  # {} would read as "no contracts"
        raise TypeError("not an array")
    return body


def _flat_statistics(body: Any) -> list[dict[str, Any]]:
    return [
        {"service": of_service["service"], "country": of_country["country"], **row}
        for of_service in body["partnerStatistics"]["statistics"]
        for of_country in of_service["serviceStatistics"]
        for row in of_country["countryStatistics"]
    ]


def _read(answer: Answer, type_: type[_T], rows: Callable[[Any], Any]) -> _T:
    with contextlib.suppress(*_UNREADABLE):
        return _converter.structure(rows(_parse(answer.body, Decimal)), type_)
    raise _unreadable(answer, "Orange's answer cannot be read")


def _unreadable(answer: Answer, words: str) -> ConnectionFailed:
    return ConnectionFailed(words, status_code=answer.status, request_id=answer.request_id)


def decode_receipt(body: bytes | str | Mapping[str, Any]) -> DeliveryReceipt:
    """
    Read a delivery receipt as Orange posts it.

    Raises:
        InvalidReceipt: it is not one. The error shows nothing of its content.
    """
    try:
        notification = _mapping(body)["deliveryInfoNotification"]
        info = notification["deliveryInfo"]
        return DeliveryReceipt(
            resource_id=ResourceId(_text(notification.get("callbackData") or "", str)),
            status=_text(info["deliveryStatus"], str),
            address=_text(info["address"], str),
        )
    except _UNREADABLE:
        raise InvalidReceipt("not a deliveryInfoNotification as Orange posts it") from None


def decode_inbound(body: bytes | str | Mapping[str, Any]) -> InboundMessage:
    """
    Read a reply (MO) as Orange posts it.

    Raises:
        InvalidReceipt: it is not one. The error shows nothing of its content.
    """
    try:
        notification = _mapping(body)["inboundSMSMessageNotification"]
        return _converter.structure(notification["inboundSMSMessage"], InboundMessage)
    except _UNREADABLE:
        raise InvalidReceipt("not an inboundSMSMessageNotification as Orange posts it") from None


def _mapping(body: bytes | str | Mapping[str, Any]) -> Any:
    return body if isinstance(body, Mapping) else _parse(body, Decimal)


class Private:
    """Parts of a request that no error, repr or traceback with locals may show."""

    def __init__(self, *words: str) -> None:
        self.words = words


_NOTHING = Private()


# -- errors -------------------------------------------------------------------------------------

# Orange's own codes say more than the status: 403 alone is "blocked", "too fast" and "no units".
_BY_CODE: dict[int | str | None, type[OrangeSMSError]] = {
    40: AuthenticationFailed,
    41: TokenExpired,
    42: TokenExpired,
    50: AccessDenied,
    51: AccessDenied,
    52: AccessDenied,
    53: Throttled,
    "POL0001": ContractRefused,
}
_BY_STATUS = {401: TokenExpired, 408: OutcomeUnknown, 429: Throttled}


def refusal(
    answer: Answer,
    *,
    repeatable: bool = False,
    fresh_token: bool = False,
    private: Private = _NOTHING,
) -> OrangeSMSError:
    """
    Turn an answer that is not a success into the error it means.

    Args:
        answer: the answer to the request.
        repeatable: whether the request changes nothing, so that its outcome is never unknown.
        fresh_token: whether Orange has never accepted the token that was sent.
        private: parts of the request. The error leaves them out, even if Orange echoes them.
    """
    code, reason = _code_and_reason(answer)
    class_ = _class_of(answer.status, code, reason)
    if class_ is OutcomeUnknown and repeatable:
        class_ = ServiceUnavailable if answer.status >= 500 else ConnectionFailed
    if class_ is TokenExpired and fresh_token and code != 42:
        class_ = AuthenticationFailed
    return _error(class_, answer, code, reason, private)


# How the token endpoint refuses credentials: Orange's own codes, and OAuth's words for them.
_OF_CLIENT = ("invalid_client", "unauthorized_client")
_NO_TOKEN: dict[tuple[int, int | str | None], type[OrangeSMSError]] = {
    **dict.fromkeys([(400, word) for word in _OF_CLIENT], AuthenticationFailed),
    **dict.fromkeys([(401, code) for code in (40, 41, *_OF_CLIENT)], AuthenticationFailed),
    **dict.fromkeys([(403, code) for code in (50, 51, 52)], AccessDenied),
}


def token_refusal(answer: Answer, *, private: Private = _NOTHING) -> OrangeSMSError:
    """
    Turn the token endpoint's refusal into the error it means.

    Only the documented answers about the credentials are final. Anything else may come from a proxy
    or be temporary. A queue that stopped for it would have to be restarted by hand.
    """
    code, reason = _code_and_reason(answer)
    class_: type[OrangeSMSError] = ServiceUnavailable
    if answer.status == 429 or code == 53:
        class_ = Throttled
    elif answer.status < 400:
        class_ = ConnectionFailed
    class_ = _NO_TOKEN.get((answer.status, code), class_)
    return _error(class_, answer, code, reason, private, who="Orange's token endpoint")


def _code_and_reason(answer: Answer) -> tuple[int | str | None, str]:
    try:
        body = answer.json()
    except ValueError:
        return None, ""
    match body:
        case {"requestError": {"serviceException": dict(e)} | {"policyException": dict(e)}}:
            # `text` is an unexpanded template: the human reason is the first variable.
            variables = e.get("variables")
            reason = variables[0] if isinstance(variables, list) and variables else variables
            return _code(e.get("messageId")), str(reason or "")
        case {"error": str(error)}:
            return error, str(body.get("error_description") or "")
        case {"code": code}:
            return _code(code), str(body.get("message") or "")
    return None, ""


def _code(code: Any) -> int | str | None:
    if isinstance(code, str) and code.isdecimal() and len(code) < 10:
        return int(code)
    return code if isinstance(code, int | str) else None


def _class_of(status: int, code: int | str | None, reason: str) -> type[OrangeSMSError]:
    if status == 503 and code in (5, 6):
        return ServiceUnavailable
    if not 400 <= status < 500:
        return OutcomeUnknown
    if code == "SVC0001" and re.search("timed?.?out", reason, re.IGNORECASE):
        return OutcomeUnknown
    return _BY_CODE.get(code) or _BY_STATUS.get(status, RequestRejected)


def _error(
    class_: type[OrangeSMSError],
    answer: Answer,
    code: int | str | None,
    reason: str,
    private: Private,
    *,
    who: str = "Orange",
) -> OrangeSMSError:
    reason = _without(private, reason)
    if str(code) != _without(private, str(code)):
        code = None  # an echo of the request is not Orange's code
    said = f"{f' ({code})' if code is not None else ''}{f': {reason}' if reason else ''}"
    error = class_(
        f"{who} answered {answer.status}{said}",
        status_code=answer.status,
        code=code,
        request_id=answer.request_id,
    )
    if isinstance(error, ContractRefused):
        error.reason = reason
    return error


def _without(private: Private, reason: str) -> str:
    for secret in private.words:
        # Three characters are not a secret, and striking them out would leave nothing to read.
        if len(secret) > 3:
            for echo in (secret, json.dumps(secret)[1:-1]):
                reason = reason.replace(echo, "…")
    return re.sub(r"\d{5,}", "…", " ".join(reason.split()))[:120]
