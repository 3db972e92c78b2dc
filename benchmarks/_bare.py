"""What you would do without this package: a limiter and httpx, without retries."""

import asyncio

import httpx
from _server import Server
from aiolimiter import AsyncLimiter


async def limited(max_rate: float, period: float, server: Server, seconds: float) -> list[str]:
    """Return the resource ids of the messages accepted within some seconds."""
    now, ids = asyncio.get_running_loop().time, list[str]()
    limiter = AsyncLimiter(max_rate, period)
    transport = httpx.AsyncHTTPTransport()
    async with (
        httpx.AsyncClient(base_url=server.address, transport=transport) as http,
        asyncio.TaskGroup() as group,
    ):
        http.headers["Authorization"] = f"Bearer {await token(http)}"
        end = now() + seconds
        while now() < end:
            async with limiter:
                group.create_task(post(http, ids))
    return ids


async def token(http: httpx.AsyncClient) -> str:
    form = {"grant_type": "client_credentials"}
    answer = await http.post("/oauth/v3/token", data=form, auth=("sandbox", "sandbox"))
    return str(answer.raise_for_status().json()["access_token"])


async def post(http: httpx.AsyncClient, ids: list[str]) -> None:
    message = {
        "address": "tel:+2250701020304",
        "senderAddress": "tel:+2250000",
        "outboundSMSTextMessage": {"message": "Bonjour"},
    }
    path = "/smsmessaging/v1/outbound/tel%3A%2B2250000/requests"
    answer = await http.post(path, json={"outboundSMSMessageRequest": message})
    if answer.status_code == 201:
        ids.append(answer.json()["outboundSMSMessageRequest"]["resourceURL"].rpartition("/")[2])
