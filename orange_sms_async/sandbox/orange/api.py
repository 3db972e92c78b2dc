"""Orange's API as one ASGI app, built from its settings."""

import asyncio
import random
import uuid

import attrs
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from orange_sms_async.sandbox.orange.answers import Answer
from orange_sms_async.sandbox.orange.evidence import Receipt, Recent, Request, Statistics
from orange_sms_async.sandbox.orange.faults import Faults, Silence
from orange_sms_async.sandbox.orange.feed import Feed
from orange_sms_async.sandbox.orange.gateway import Gateway
from orange_sms_async.sandbox.orange.inbox import DEFAULT_SENDER_NAME, Inbox, Message
from orange_sms_async.sandbox.orange.incoming import Incoming, read
from orange_sms_async.sandbox.orange.ledger import Account
from orange_sms_async.sandbox.orange.notifier import Notifier
from orange_sms_async.sandbox.orange.posting import Endpoint
from orange_sms_async.sandbox.orange.replies import Replies
from orange_sms_async.sandbox.orange.subscriptions import Subscriptions
from orange_sms_async.sandbox.orange.tasks import Tasks
from orange_sms_async.sandbox.orange.tokens import Tokens
from orange_sms_async.sandbox.orange.traffic import Traffic
from orange_sms_async.sandbox.orange.transport import is_being_cancelled, keep_silent
from orange_sms_async.sandbox.orange.wrong import Wrong
from orange_sms_async.sandbox.settings import Settings


class OrangeApi:
    """
    Answers each request as Orange does, and posts the receipts of what it took.

    Attributes:
        settings: how this Orange behaves.
        account: what was bought and is left.
        faults: the faults to come.
        inbox: the messages with their evidence.
        requests: the remembered ones, in order of arrival.
        tokens: the tokens issued.
        counted: counts of what happened.
        events: what happens, for anyone who watches.
        tasks: work beside the answers.
        subscriptions: to receipts.
        endpoint: where receipts and replies are posted.
        notifier: posts the receipts.
        replies: posts recipients' replies.
        traffic: the way of each request.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._chance = chance = random.Random(settings.seed)
        self.events = Feed()
        self.account = Account(
            settings.contracts,
            settings.sender_names | {DEFAULT_SENDER_NAME},
            chance,
            lambda: self.events.publish("account"),
        )
        self.faults = Faults(chance, lambda: self.events.publish("faults"))
        self.inbox = Inbox(settings.keep)
        self.requests: Recent[Request] = Recent(settings.keep, lambda request: request.weight)
        self.tokens = Tokens(
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            lifetime=settings.token_lifetime,
            expires_in=settings.expires_in,
        )
        self.counted = Statistics()
        self.tasks = Tasks()
        self.subscriptions = Subscriptions(chance)
        self.endpoint = Endpoint(settings.receipt_transport)
        self.replies = Replies(
            settings=settings,
            endpoint=self.endpoint,
            inbox=self.inbox,
            chance=chance,
            on_posted=lambda reply: self.events.publish("reply", reply.shown),
        )
        self.notifier = Notifier(
            settings=settings,
            chance=chance,
            endpoint=self.endpoint,
            url_for=self._url_for,
            on_posted=self._posted,
            start=self.tasks.start,
        )
        self.traffic = self._made_traffic(settings)

    def _made_traffic(self, settings: Settings) -> Traffic:
        gateway = Gateway(
            tokens=self.tokens,
            account=self.account,
            settings=settings,
            make_up_id=self._made_up_id,
            subscriptions=self.subscriptions,
            counted=self.counted,
        )
        return Traffic(
            gateway=gateway,
            faults=self.faults,
            inbox=self.inbox,
            events=self.events,
            counted=self.counted,
            requests=self.requests,
            settings=settings,
            chance=self._chance,
        )

    def _url_for(self, sender_address: str) -> str | None:
        return self.subscriptions.url_for(sender_address) or self.settings.receipt_url

    def _made_up_id(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def _posted(self, message: Message, receipt: Receipt) -> None:
        if receipt.answer == 200:
            self.counted.receipts_delivered += 1
        else:
            self.counted.receipts_undelivered += 1
        self.inbox.add_receipt(message, receipt)
        self.events.publish("receipt", lambda: receipt.told(message.number))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or a server that begins or ends; a websocket is closed."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.notifier.prepare()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            incoming = await read(scope, receive)
        except ClientDisconnect:
            return
        answered = self.tasks.start(self._answered(incoming, receive, send))
        try:
            await answered
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            await keep_silent(Silence.DROP, receive, send)  # the sandbox was closed

    async def _answered(self, incoming: Incoming, receive: Receive, send: Send) -> None:
        request_id = self._made_up_id()
        outcome, message = await self.traffic.arrive(incoming, request_id)
        if message is not None:
            await self.notifier.begin(message)
        await self.traffic.leave(incoming)
        if isinstance(outcome, Silence):
            await keep_silent(outcome, receive, send)
        else:
            # The rest of its body may come for ever.
            unread = incoming.body is Wrong.SLOW_BODY
            await _send(outcome, request_id, send, *[("connection", "close")] * unread)

    def start_anew(self) -> None:
        """Return to the start, as the settings say; what is in progress continues."""
        self._chance.seed(self.settings.seed)
        self.notifier.forget()
        self.inbox.clear()
        self.replies.posted.clear()
        self.traffic.start_anew()
        self.traffic.gateway.start_anew()
        self.tokens.start_anew()
        self.subscriptions.clear()
        self.account.start_anew()
        self.faults.clear()
        for name, count in attrs.asdict(Statistics()).items():
            setattr(self.counted, name, count)

    async def aclose(self) -> None:
        """Stop what still runs: answers, receipts not yet posted, and every watcher's feed."""
        self.events.close()
        await self.tasks.end()
        await self.endpoint.aclose()


async def _send(answer: Answer, request_id: str, send: Send, *more: tuple[str, str]) -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in (*answer.all_headers(request_id), *more)
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
