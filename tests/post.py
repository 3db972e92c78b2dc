"""A request to the receiver, from a server that is not there."""

import asyncio

from samples import sample

SECRET = "made-up-Zb8s_X0"
NUMBER = "2250701020304"
ORANGE = "203.0.113.7"
RECEIPT = sample("receipts/delivered.json")
REPLY = sample("receipts/reply.json")
PROXY, FARTHER = "10.0.0.1", "10.0.0.2"


class Post:
    """One request, from a server that is not there."""

    def __init__(self, body=RECEIPT, *, pieces=None, pause=0.0, after=(), **scope):
        self.pieces = iter([body] if pieces is None else pieces)
        self.pause, self.after = pause, iter(after)
        self.sent = []
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": f"/receipts/{SECRET}",
            "query_string": b"",
            "headers": [],
            "client": (ORANGE, 4711),
        } | scope

    async def receive(self):
        if self.pause:
            await asyncio.sleep(self.pause)
        for piece in self.pieces:
            return {"type": "http.request", "body": piece, "more_body": True}
        for message in self.after:
            return message
        return {"type": "http.request"}

    async def send(self, message):
        self.sent.append(message)

    async def to(self, receiver):
        """Return the status; None where nothing was answered."""
        await receiver(self.scope, self.receive, self.send)
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self):
        return dict(self.sent[0]["headers"])


class Failing:
    """Fails with what must not be logged."""

    async def keep(self, receipt):
        raise OSError(f"no room for {receipt.address} of {SECRET}")

    def __call__(self, posted):
        raise LookupError(f"{posted} {NUMBER} {SECRET}")

    async def later(self, posted):
        self(posted)
