"""Orange as the test says it answers (respx), and a client that speaks to it."""

from typing import Any

import httpx
import respx

from orange_sms_async import Client, ClientCredentials, OutboundMessage

CREDENTIALS = ClientCredentials("the-client-id", "the-client-secret")
MESSAGE = OutboundMessage("+2250701020304", "Bonjour")
URL = "https://api.orange.com/smsmessaging/v1/outbound/tel:+2250000/requests/81e4296d-aa"
TOKEN = {"token_type": "Bearer", "access_token": "token", "expires_in": "3600"}
SENT = {"outboundSMSMessageRequest": {"resourceURL": URL}}
EXPIRED = {"code": 42, "message": "Expired credentials"}
INVALID = {"code": 41, "message": "Invalid credentials"}


def answer(status: int, **json: Any) -> httpx.Response:
    return httpx.Response(status, json=json)


class Orange(respx.MockRouter):
    """Routes `token`, `send` and `account`, which answer well until told otherwise."""

    def __init__(self) -> None:
        super().__init__(base_url="https://api.orange.com", assert_all_called=False)
        self.token = self.post("/oauth/v3/token").respond(json=TOKEN)
        self.send = self.post(path__startswith="/smsmessaging/").respond(201, json=SENT)
        self.account = self.get(path__startswith="/sms/admin/v1/").respond(json=[])

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.async_handler)

    def client(self, **settings: Any) -> Client:
        return Client(CREDENTIALS, transport=self.transport, **settings)
