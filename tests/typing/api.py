"""What a user writes, as the type checkers read it. Nobody runs this file."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from decimal import Decimal

import httpx

from orange_sms_async import (
    Client,
    ClientCredentials,
    ContractRefused,
    Country,
    DeliveryReceipt,
    DeliveryStatus,
    NotSent,
    OrangeSMSError,
    OutboundMessage,
    OutcomeUnknown,
    Priority,
    Refused,
    ResourceId,
    SendQueue,
    Withheld,
    count_segments,
    decode_inbound,
    decode_receipt,
    gates,
)
from orange_sms_async.outbox.sqlite import SqliteOutbox
from orange_sms_async.outbox.sqlite.receiptfile import ReceiptFile
from orange_sms_async.receiver import ReceiptBook, ReceiptReceiver


def show(*values: object) -> None: ...


async def send(client: Client) -> ResourceId | None:
    message = OutboundMessage("+2250701020304", "Bonjour", sender_name="MonService", on_net=True)
    try:
        sent = await client.send(message)
    except ContractRefused as refused:
        reason: str = refused.reason
        raise RuntimeError(reason) from refused
    except (NotSent, Refused) as error:
        status: int | None = error.status_code
        code: int | str | None = error.code
        raise RuntimeError(f"{status} {code} {error.request_id}") from error
    except OutcomeUnknown as unknown:
        accepted: bool = unknown.accepted
        return None if accepted else ResourceId("")
    request_id: str | None = sent.request_id
    return sent.resource_id if request_id else None


async def account(client: Client) -> Decimal:
    for contract in await client.contracts(country="CIV"):
        units: int = contract.available_units
        end: datetime | None = contract.expiration_date
        show(units, end)
    for row in await client.statistics(country="CIV", app_id="…"):
        app: str | None = row.appid
        show(app, row.usage, row.nb_enforcements)
    return sum((order.price for order in await client.purchase_orders()), Decimal())


async def clients() -> None:
    credentials = ClientCredentials.from_header("Basic …")
    async with Client(credentials, base_url="http://localhost:8000", timeout=5) as client:
        await client.ready()
    transport = httpx.AsyncHTTPTransport(retries=1)
    async with Client(credentials, timeout=5, transport=transport) as client:
        await client.attempt(OutboundMessage(to="+2250701020304", text="Bonjour"))


async def queue(messages: Iterable[OutboundMessage]) -> None:
    async with Client.from_env(rate=5.0) as client, SendQueue(client) as queue:
        urgent = OutboundMessage("+2250701020304", "1234")
        future = await queue.submit(urgent, priority=Priority.URGENT)
        resource_id: ResourceId = await future
        show(resource_id)
        async with queue.bulk(messages, window=500) as reports:
            async for report in reports:
                error: OrangeSMSError | None = report.error
                taken: ResourceId | None = report.resource_id
                show(report.message.reference, error, taken)


class Plain:
    def ask(self, asked: gates.Asked) -> datetime | None:
        return asked.now if asked.leaving else None


class Counting:
    async def ask(self, asked: gates.Asked) -> Withheld | None:
        counted: bool = await asked.count("all", most=3, within=timedelta(minutes=1))
        return None if counted else Withheld("no", rule="mine")


async def rules(client: Client) -> None:
    hours = gates.Hours({"CMR": (time(6), time(22))}, exempt=[Priority.URGENT])
    alone = gates.Suppression("a long secret of yours")
    every: gates.Gate = gates.all_of(hours, alone, Plain(), Counting())
    async with SendQueue(client, gate=every) as queue, SendQueue(client, gate=Plain()):
        await alone.add(queue.notes, "+2250701020304")


async def receipts(client: Client, message: OutboundMessage) -> bool:
    book = ReceiptBook()
    async with (
        ReceiptFile("receipts.db") as file,
        SendQueue(client, outbox=SqliteOutbox("outbox.db")) as queue,
    ):
        show(ReceiptReceiver(book.add, store=queue), ReceiptReceiver(book.add, store=file))
        async with queue.bulk([message], delivered_within=60) as reports:
            async for report in reports:
                furthest: DeliveryReceipt | None = report.delivery
                show(furthest, (await queue.outcome(message.reference)).settled_by)
        return (await queue.delivered(message.reference, timeout=60)).delivered


def values(body: bytes) -> bool:
    sender: str = Country.from_number("+2250701020304").sender_address
    counted = count_segments("Bonjour")
    numbers: tuple[int, int] = (counted.segments, counted.room)
    receipt = decode_receipt(body)
    status: DeliveryStatus | str = receipt.status
    written: datetime | None = decode_inbound(body.decode()).date_time
    return (
        receipt.is_final and receipt.delivered and bool(sender and numbers and status and written)
    )
