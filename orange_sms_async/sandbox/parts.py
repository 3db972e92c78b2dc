"""The parts of a sandbox, put together as its settings say."""

import random
import uuid
from typing import TYPE_CHECKING

from orange_sms_async.sandbox.orange.evidence import Receipt
from orange_sms_async.sandbox.orange.gateway import Gateway
from orange_sms_async.sandbox.orange.inbox import Message
from orange_sms_async.sandbox.orange.limits import LIMITS
from orange_sms_async.sandbox.orange.notifier import Receipts
from orange_sms_async.sandbox.orange.outbound import Rules
from orange_sms_async.sandbox.orange.tasks import Tasks
from orange_sms_async.sandbox.orange.traffic import Traffic

if TYPE_CHECKING:
    from orange_sms_async.sandbox.sandbox import Sandbox


def made_up_uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def traffic(sandbox: "Sandbox", chance: random.Random) -> Traffic:
    return Traffic(
        gateway=_gateway(sandbox, chance),
        faults=sandbox.faults,
        inbox=sandbox.inbox,
        events=sandbox.events,
        counted=sandbox.counted,
        requests=sandbox.requests,
        latency=lambda: sandbox.latency + chance.uniform(0, sandbox.jitter),
        token_latency=lambda: sandbox.token_latency,
    )


def _gateway(sandbox: "Sandbox", chance: random.Random) -> Gateway:
    return Gateway(
        tokens=sandbox.tokens,
        account=sandbox.account,
        limit=None if sandbox.rate is None else LIMITS[sandbox.throttle](sandbox.rate),
        throttle_status=sandbox.throttle_status,
        rules=Rules(
            approved=sandbox.account.sender_names,
            error=sandbox.sender_name_error,
            raw=sandbox.raw_sender,
            longest=sandbox.longest_message,
        ),
        account_shape=sandbox.account_shape,
        has_subscriptions=sandbox.subscriptions,
        make_up_id=lambda: made_up_uuid(chance),
        counted=sandbox.counted,
    )


def receipts(sandbox: "Sandbox", chance: random.Random, tasks: Tasks) -> Receipts:
    def posted(message: Message, receipt: Receipt) -> None:
        if receipt.answer == 200:
            sandbox.counted.receipts_delivered += 1
        else:
            sandbox.counted.receipts_undelivered += 1
        sandbox.inbox.add_receipt(message, receipt)
        sandbox.events.publish("receipt", lambda: receipt.told(message.number))

    return Receipts(
        url=sandbox.receipt_url,
        delay=lambda: sandbox.receipt_delay,
        faults=lambda: sandbox.receipt_faults,
        chance=chance,
        keep=sandbox.keep,
        on_posted=posted,
        start=tasks.start,
        transport=sandbox.receipt_transport,
    )
