"""What the API under /_sandbox/ shows, and to whom."""

import httpx
import pytest

from orange_sms_async.sandbox import Sandbox

SHOWN = ["statistics", "sent", "messages", "recipients", "account", "rate", "faults", "token"]


async def test_messages_are_shown_newest_first(client, send, control):
    """
    As a handset would show them: the default name where none was sent.
    """
    await send(client, "Un")
    await send(client, "Deux €", address="tel:+2250701020399", senderName="MonService")
    newest, oldest = (await control("GET", "messages")).json()["messages"]

    assert (2, "Deux €", "MonService", "GSM-7", 1, "") == tuple(
        newest[key] for key in ("number", "text", "sender_name", "encoding", "segments", "status")
    )
    assert ("SMS 123456", "tel:+2250000", False) == tuple(
        oldest[key] for key in ("sender_name", "sender_address", "on_net")
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=DEUX", ["Deux"]),
        ("q=04", ["Un"]),
        ("q=nothing", []),
        ("address=tel:%2B2250701020399", ["Deux"]),
        ("address=&q=", ["Deux", "Un"]),
        ("before=2", ["Un"]),
        ("limit=1", ["Deux"]),
    ],
)
async def test_messages_are_searched(client, send, control, query, found):
    """
    By text in any case, by number, by recipient; and in pages.
    """
    await send(client, "Un")
    await send(client, "Deux", address="tel:+2250701020399")
    shown = (await control("GET", f"messages?{query}")).json()

    assert found == [message["text"] for message in shown["messages"]]
    assert ("limit=1" == query) == shown["more"]


async def test_a_message_is_found_by_its_resource_id(sandbox, client, send, control):
    """
    That is what a developer has in the log.
    """
    await send(client)
    await send(client)
    resource_id = sandbox.sent[0].resource_id
    shown = (await control("GET", f"messages?q={resource_id}")).json()

    assert [1] == [message["number"] for message in shown["messages"]]


async def test_a_message_has_its_evidence(sandbox, client, send, control):
    """
    The raw request and answer; of the token only that there was one.
    """
    answer = await send(client, "Bonjour", segment="tel:+2250000", query="?x=1")
    shown = (await control("GET", f"messages/{sandbox.sent[0].resource_id}")).json()
    headers = dict(shown["request"]["headers"])

    assert "/smsmessaging/v1/outbound/tel:+2250000/requests?x=1" == shown["request"]["path"]
    assert answer.request.content.decode() == shown["request"]["body"]
    assert ("Bearer …", "application/json") == (headers["authorization"], headers["content-type"])
    assert (201, answer.text) == (shown["answer"]["status"], shown["answer"]["body"])
    assert [*answer.headers.multi_items()] == [tuple(pair) for pair in shown["answer"]["headers"]]


async def test_a_message_without_an_answer(sandbox, client, send, control):
    """
    What was taken is in the inbox, whatever became of its answer.
    """
    sandbox.drop_next()
    with pytest.raises(httpx.ReadError):
        await send(client)
    shown = (await control("GET", f"messages/{sandbox.sent[0].resource_id}")).json()

    assert {"status": None, "headers": [], "body": ""} == shown["answer"]


async def test_recipients(client, send, control):
    """
    Whoever heard last comes first, with the number of messages.
    """
    for last in ("01", "02", "01"):
        await send(client, f"à {last}", address=f"tel:+22507010203{last}")
    shown = (await control("GET", "recipients")).json()["recipients"]

    assert [("tel:+2250701020301", 2), ("tel:+2250701020302", 1)] == [
        (one["address"], one["messages"]) for one in shown
    ]
    assert "à 01" == shown[0]["last"]["text"]


async def test_the_account(sandbox, client, control):
    """
    Contracts, names and tokens, with the age of each.
    """
    sandbox.expire_tokens()
    shown = (await control("GET", "account")).json()
    (token,) = shown["tokens"]

    assert ("sandbox", ["MonService", "SMS 123456"]) == (shown["client_id"], shown["sender_names"])
    assert (True, 0) == (token["expired"], token["expires_in_seconds"])
    assert 14 == len(shown["contracts"])
    assert {"country", "offer_name", "available_units", "expiration_date", "status"} == set(
        shown["contracts"][0]
    )


async def test_the_rate(connect, send, control):
    """
    What arrived in the last minute, refused or not.
    """
    sandbox = Sandbox(rate=2)
    client = await connect(sandbox, transport=sandbox.transport)
    for _ in range(3):
        await send(client)
    shown = (await control("GET", "rate", of=sandbox)).json()

    assert [201, 201, 403] == [status for _, status in shown["arrivals"]]
    assert (2, "rolling", 3) == (shown["limit"], shown["throttle"], shown["most_in_a_second"])


@pytest.mark.parametrize("path", [*SHOWN, "messages/81e4296d", "page/nothing", "nowhere"])
async def test_nothing_of_it_can_be_read_from_elsewhere(control, path):
    """
    No answer allows another origin, and none may run anything but the page's own.
    """
    answer = await control("GET", path, headers={"Origin": "https://example.org"})

    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert "nosniff" == answer.headers["X-Content-Type-Options"]


@pytest.mark.parametrize(
    "headers", [{}, {"X-Sandbox-Token": b"\xe9"}, {"X-Sandbox-Token": "wrong"}]
)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "OPTIONS"])
async def test_a_change_needs_the_token(sandbox, control, method, headers):
    """
    Which the pages of others cannot read.
    """
    answer = await control(method, "faults", {"latency": 1}, headers=headers)

    assert 403 == answer.status_code
    assert "X-Sandbox-Token" in answer.json()["error"]
    assert 0 == sandbox.latency


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8025", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8025", 200),
        ("0.0.0.0:8025", 200),
        ("[::]:8025", 200),
        ("192.0.2.7:8025", 200),
        ("example.org", 403),
        ("localhost.example.org:8025", 403),
        ("127.0.0.1.example.org", 403),
        ("0.0.0.0.example.org:8025", 403),
        ("[", 403),
        ("", 403),
    ],
)
async def test_a_name_that_was_pointed_here_is_refused(sandbox, serve, host, status):
    """
    Whoever is reached on this machine is called localhost, or by an address, which is no name.
    """
    with serve(sandbox) as served:
        async with httpx.AsyncClient(base_url=served.base_url, trust_env=False) as http:
            answers = [
                await http.get(path, headers={"Host": host}) for path in ("/", "/_sandbox/sent")
            ]

    assert [status, status] == [answer.status_code for answer in answers]


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "fr-CI,fr;q=0.9,en;q=0.8", "fr"),
        ("", "wo, EN;q=0.5", "en"),
        ("?lang=fr", "en", "fr"),
        ("?lang=xx", "fr", "fr"),
    ],
)
async def test_the_page_has_a_language(sandbox, query, accepted, language):
    """
    It is the address's, or the browser's.
    """
    async with httpx.AsyncClient(base_url="http://o", transport=sandbox.transport) as http:
        page = await http.get(f"/{query}", headers={"Accept-Language": accepted})

    assert f'<html lang="{language}"' in page.text
    assert "{{" not in page.text


@pytest.mark.parametrize(
    "query", ["before=0", "before=-1", "before=x", "limit=201", "limit=1e9", "limit=%00", "limit=²"]
)
async def test_pages_of_nothing(control, query):
    """
    A page that cannot be is named.
    """
    answer = await control("GET", f"messages?{query}")

    assert 400 == answer.status_code
    assert "whole number" in answer.json()["error"]


@pytest.mark.parametrize(
    "path", ["page/..%2forange.py", "page/../orange.py", "page/%00", "page/" + "a" * 5000, "page/"]
)
async def test_only_the_page_is_served(control, path):
    """
    Nothing beside it.
    """
    assert 404 == (await control("GET", path)).status_code
