"""docs/sandbox.md says what is there, and what it says runs."""

import re
import shlex
from pathlib import Path

import attrs
import httpx
import pytest
from starlette.routing import Route

from orange_sms_async.sandbox import ReceiptFaults, Sandbox

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")
PAGE = PAGE.replace("$API", re.findall(r"^\$ API=(\S+)", PAGE, re.MULTILINE)[0])
CURLS = [line[2:] for line in PAGE.splitlines() if line.startswith("$ curl ")]


def asked(curl, **variables):
    """Method, URL, headers and body of a line that a user pastes into a shell."""
    for name, value in variables.items():
        curl = curl.replace(f"${name}", value)
    words = iter(shlex.split(curl)[2:])
    method, url, headers, body = "", "", {}, None
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words)
        else:
            url = word
    return method or ("GET" if body is None else "POST"), url, headers, body


async def test_every_line_runs(connect, send):
    """
    In the order of the page.
    """
    endpoint = httpx.MockTransport(lambda _: httpx.Response(200))
    sandbox = Sandbox(receipt_url="https://example.org", receipt_transport=endpoint)
    client = await connect(sandbox, transport=sandbox.transport)
    await send(client)
    refused = await client.get("/nothing")
    request_id = refused.headers["X-OAPI-Request-Id"]
    token = (await client.get("/_sandbox/token")).json()["token"]
    header = f"X-Sandbox-Token: {token}"
    resource_id, statuses = sandbox.sent[0].resource_id, []
    for line in CURLS:
        method, url, headers, body = asked(
            line, TOKEN=header, RESOURCE_ID=resource_id, REQUEST_ID=request_id
        )
        answer = await client.request(method, url, headers=headers, content=body)
        statuses.append(answer.status_code)
    await sandbox.aclose()

    assert 20 < len(CURLS)
    assert {200} == set(statuses)


def test_every_path_is_there():
    """
    All that the API has.
    """
    routes = Sandbox()._control.inside.routes
    paths = {route.path for route in routes if isinstance(route, Route)}
    said = set(re.findall(r"/_sandbox/[a-z/-]+", PAGE)) | {"/", "/_sandbox/page/{name}"}
    said = {path.rstrip("/") or "/" for path in said}

    assert {re.sub("/{re[a-z]+_id}", "", path) for path in paths} == said


@pytest.mark.parametrize("kind", [Sandbox, ReceiptFaults])
def test_every_setting_is_there(kind):
    """
    With what it rests on.
    """
    names = {field.name for field in attrs.fields(kind) if field.init}

    assert {name for name in names if f"`{name}" in PAGE or f".{name}" in PAGE} == names
