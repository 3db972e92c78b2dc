"""Events for a browser, as they happen: server-sent events."""

import json
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from orange_sms_async.sandbox.orange.feed import Event, Feed


def stream(events: Feed, last_id: str) -> StreamingResponse:
    """
    Answer with all events from now on, or after the event with that id.

    Args:
        events: the feed.
        last_id: the last event that the browser has seen; empty if none.

    Returns:
        An answer that lasts until the browser leaves or the feed is closed.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _told(events, last_id), headers=headers, media_type="text/event-stream"
    )


async def _told(events: Feed, last_id: str) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    async for news in events.watch(last_id):
        # A comment keeps the connection open, and shows whether somebody still listens.
        yield "".join(map(_written, news)) or ":\n\n"


def _written(event: Event) -> str:
    value = json.dumps(event.value(), ensure_ascii=False, separators=(",", ":"))
    return f"id: {event.id}\nevent: {event.name}\ndata: {value}\n\n"
