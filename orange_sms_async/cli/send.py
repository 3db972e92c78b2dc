"""`orange-sms send`: one SMS and, if asked, its receipt."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

import anyio
import attrs
import typer

from orange_sms_async import (
    Client,
    ContractRefused,
    Country,
    DeliveryReceipt,
    DeliveryStatus,
    InvalidMessage,
    OrangeSMSError,
    OutboundMessage,
    ReceiptBook,
    ReceiptReceiver,
    SentMessage,
    count_segments,
)
from orange_sms_async.cli import config
from orange_sms_async.cli.contracts import paying, trouble
from orange_sms_async.cli.exits import ExitCode, errors_end, interrupts_call
from orange_sms_async.cli.options import (
    Debug,
    Secret,
    SenderAddress,
    Text,
    check_sender,
    read,
    seconds,
    warn_without,
)
from orange_sms_async.cli.serving import listening, serving
from orange_sms_async.cli.words import echo

_WAIT = 60.0  # seconds for the receipt, unless said otherwise


def send(
    to: Annotated[str, typer.Argument(metavar="TO", help="Such as +2250701020304.")],
    text: Text,
    *,
    sender_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="A name that Orange has approved.")
    ] = None,
    sender_address: SenderAddress = None,
    on_net: Annotated[
        bool,
        typer.Option(
            "--on-net", help='Pay with the "Orange only" offer: nothing reaches other networks.'
        ),
    ] = False,
    receipts: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Receive its delivery receipt on this port of 127.0.0.1; 0 picks a free port.",
        ),
    ] = None,
    secret: Secret = None,
    wait: Annotated[
        float | None,
        typer.Option(
            parser=seconds(), metavar="SECONDS", help="Time to wait for the receipt. Default: 60."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """
    Send one SMS, and show its resource id and the id of the request.

    With --receipts, the command then waits for the delivery receipt. Have your proxy forward
    Orange's requests to that port. Ctrl-C ends the wait; a request in progress finishes first.

    Exit codes:

    0: accepted and, with --receipts, delivered.

    1: refused, or the receipt says that it was not delivered.

    2: wrong usage, such as a number without its country code.

    3: wrong credentials or no access.

    4: not sent, because Orange is unreachable or overloaded; trying again is safe.

    5: it is unknown whether it was sent or, with --receipts, delivered.

    130: interrupted before sending, or while waiting for the receipt.
    """
    message = _message(to, read(text), sender_name, sender_address, on_net=on_net)
    if wait is not None and receipts is None:
        raise typer.BadParameter("needs --receipts PORT", param_hint="--wait")
    client = config.client()
    endpoint = None
    if receipts is not None:
        warn_without(secret)
        listener = listening("127.0.0.1", receipts, instead="--receipts 0")
        endpoint = _Endpoint(listener, secret, _WAIT if wait is None else wait)
    with errors_end(debug=debug):
        raise typer.Exit(asyncio.run(_send(client, message, endpoint)))


def _message(
    to: str, text: str, name: str | None, address: str | None, *, on_net: bool
) -> OutboundMessage:
    address = check_sender(name, address)
    try:
        return OutboundMessage(to, text, sender_name=name, sender_address=address, on_net=on_net)
    except InvalidMessage as error:
        field, _, rule = str(error).partition(": ")
        raise typer.BadParameter(rule, param_hint=field.upper()) from None


@attrs.frozen
class _Endpoint:
    """Where the receipt of one message is received, and how long to wait for it."""

    listener: socket.socket
    secret: str | None = attrs.field(repr=False)
    wait: float
    book: ReceiptBook = attrs.field(factory=ReceiptBook, init=False)

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        receiver = ReceiptReceiver(self.book.add, secret=self.secret)
        async with serving(receiver, self.listener) as address:
            echo(f"Receiving receipts on {address}")
            yield

    async def delivered(self, sent: SentMessage) -> ExitCode:
        try:
            receipt = await self.book.delivered(sent.resource_id, self.wait)
        except TimeoutError:
            echo(f"no receipt within {self.wait:g} s: Orange may take up to 24 hours")
            return ExitCode.SOME_UNKNOWN
        echo(f"receipt: {receipt.status}")
        return _exit_code(receipt)


def _exit_code(receipt: DeliveryReceipt) -> ExitCode:
    if receipt.delivered:
        return ExitCode.ALL_ACCEPTED
    impossible = receipt.status == DeliveryStatus.DELIVERY_IMPOSSIBLE
    return ExitCode.SOME_FAILED if impossible else ExitCode.SOME_UNKNOWN


async def _send(client: Client, message: OutboundMessage, endpoint: _Endpoint | None) -> ExitCode:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(client)
        if endpoint:
            await stack.enter_async_context(endpoint.served())
        with anyio.CancelScope() as interrupted, _interrupts(interrupted):
            await client.ready()
            # Shielded: Orange's answer to a message in flight must not be missed.
            with anyio.CancelScope(shield=True) as answered:
                sent = await _sent(client, message)
                echo(f"resource id: {sent.resource_id}")
                echo(f"request id: {sent.request_id or 'none'}")
                answered.shield = False
                return await endpoint.delivered(sent) if endpoint else ExitCode.ALL_ACCEPTED
    return ExitCode.INTERRUPTED


def _interrupts(scope: anyio.CancelScope) -> contextlib.AbstractContextManager[None]:
    def ask() -> None:
        echo("Stopping: requests in progress finish first. Ctrl-C again stops at once.")
        scope.cancel()

    def leave() -> None:
        echo("If no resource id is shown, the message may still have been sent.", err=True)

    return interrupts_call(ask, leaving=leave)


async def _sent(client: Client, message: OutboundMessage) -> SentMessage:
    try:
        return await client.send(message)
    except ContractRefused as error:
        if why := await _why_refused(client, message):
            error.add_note(why)
        raise


async def _why_refused(client: Client, message: OutboundMessage) -> str:
    """Look up what is wrong with the contract; "" if that cannot be told."""
    try:
        country = Country.from_number(message.to).code
        contracts = await client.contracts(country=country)
    except (LookupError, OrangeSMSError):
        return ""
    contract = paying(contracts, country, on_net=message.on_net)
    units = count_segments(message.text).segments
    return trouble(contract, country, units=units, until=datetime.now(UTC))
