"""What the sandbox shows of itself under `/_sandbox/`: no part of Orange."""

from typing import TYPE_CHECKING, Any

import attrs

from orange_sms_async.sandbox.answers import Answer, gateway_error, in_json

if TYPE_CHECKING:
    from orange_sms_async.sandbox.incoming import Incoming
    from orange_sms_async.sandbox.orange import Sandbox

PREFIX = "/_sandbox/"


def answer(sandbox: "Sandbox", incoming: "Incoming") -> Answer:
    shown = _SHOWN.get(incoming.path.removeprefix(PREFIX))
    if shown is None:
        return gateway_error(60)
    if incoming.method != "GET":
        return gateway_error(61)
    return in_json(200, shown(sandbox))


def _statistics(sandbox: "Sandbox") -> dict[str, Any]:
    return attrs.asdict(sandbox.statistics())


def _sent(sandbox: "Sandbox") -> list[dict[str, Any]]:
    return [attrs.asdict(sent) for sent in sandbox.sent]


_SHOWN = {"statistics": _statistics, "sent": _sent}
