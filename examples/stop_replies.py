"""
People who answer STOP or ARRET get no more campaigns; START undoes this.

Run it with `uvicorn --no-access-log stop_replies:app`: an access log would show the secret. In the
environment, set ORANGE_SMS_CLIENT_ID and ORANGE_SMS_CLIENT_SECRET of the account. Also set
RECEIPTS_SECRET and ORANGE_SMS_SUPPRESSION_KEY, each to a long random word that you choose. Enter
`https://your.host/receipts/<RECEIPTS_SECRET>` in Orange's form.

The queue that sends the campaign from `sms.db` needs the same rule.
"""

import os
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Mount

from orange_sms_async import (
    Client,
    DeliveryReceipt,
    InboundMessage,
    Priority,
    ReceiptReceiver,
    SendQueue,
    SqliteOutbox,
    gates,
)

STOP, START = {"STOP", "ARRET"}, {"START"}

# A code that the person asks for is still wanted.
alone = gates.Suppression(os.environ["ORANGE_SMS_SUPPRESSION_KEY"], exempt=[Priority.URGENT])
client = Client.from_env()
queue = SendQueue(client, outbox=SqliteOutbox("sms.db"), gate=alone)


def word(text: str) -> str:
    """Read a reply as people write it: "Arrêt !" is ARRET."""
    plain = unicodedata.normalize("NFKD", text).upper()
    return "".join(letter for letter in plain if "A" <= letter <= "Z")


async def replied(inbound: InboundMessage) -> None:
    """Store what the person asks for. Nothing is logged."""
    if word(inbound.message) in STOP:
        await alone.add(queue.notes, inbound.sender_address)
    elif word(inbound.message) in START:
        await alone.remove(queue.notes, inbound.sender_address)


async def delivered(receipt: DeliveryReceipt) -> None:
    """Do nothing more: the queue has stored the receipt."""


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Keep the outbox open for the life of the process."""
    async with client, queue:
        yield


secret = os.environ["RECEIPTS_SECRET"]
receiver = ReceiptReceiver(delivered, replied, secret=secret, store=queue)
app = Starlette(routes=[Mount("/receipts", receiver)], lifespan=lifespan)
