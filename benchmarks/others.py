"""How many POSTs does one default send make, with ours and with other SMS SDKs?"""

import concurrent.futures
import importlib.util
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs
from _results import keep
from _table import check, table
from _virtual import sms

PATIENCE = 12.0  # seconds a send may take before it is left alone
FAULTS: dict[str, bytes] = {
    "takes it, drops the connection": b"",
    "takes it, does not answer": b"hang",
    "500": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    "503": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "429": b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
}
TOKEN = json.dumps({"access_token": "token", "expires_in": 3600}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Faulty"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/oauth"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(TOKEN)))
            self.end_headers()
            self.wfile.write(TOKEN)
            return
        self.server.posts += 1
        if self.server.answer == b"hang":
            self.server.over.wait()
        else:
            self.wfile.write(self.server.answer)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


class Faulty(ThreadingHTTPServer):
    """Gives tokens, and answers every other POST in one way."""

    daemon_threads = True

    def __init__(self, answer: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.posts, self.over = answer, 0, threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


# -- who sends ------------------------------------------------------------------------------------


def bare(address: str) -> object:
    import httpx  # noqa: PLC0415

    answer = httpx.post(address, json={}, timeout=PATIENCE / 2, trust_env=False)
    return answer.raise_for_status()


def ours(address: str) -> object:
    import asyncio  # noqa: PLC0415

    from orange_sms_async import Client, ClientCredentials  # noqa: PLC0415

    async def send() -> object:
        credentials = ClientCredentials("a", "b")
        async with Client(credentials, base_url=address, timeout=PATIENCE / 2) as client:
            return await client.send(sms())

    return asyncio.run(send())


def aws(address: str) -> object:
    import boto3  # noqa: PLC0415

    client = boto3.client(
        "sns",
        endpoint_url=address,
        region_name="eu-west-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    return client.publish(PhoneNumber="+2250701020304", Message="Bonjour")


def twilio(address: str) -> object:
    from twilio.http.http_client import TwilioHttpClient  # noqa: PLC0415
    from twilio.rest import Client  # noqa: PLC0415

    class Here(TwilioHttpClient):
        def request(self, method: str, url: str, *args: object, **options: object) -> object:
            return super().request(method, address + url.partition(".com")[2], *args, **options)

    client = Client("AC0", "token", http_client=Here())
    return client.messages.create(to="+2250701020304", from_="+15550100", body="Bonjour")


def telnyx(address: str) -> object:
    from telnyx import Telnyx  # noqa: PLC0415

    client = Telnyx(api_key="key", base_url=address)
    return client.messages.send(to="+2250701020304", from_="+15550100", text="Bonjour")


SENDERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "bare httpx": ("httpx", bare),
    "orange-sms-async": ("orange_sms_async", ours),
    "boto3 (SNS)": ("boto3", aws),
    "twilio": ("twilio", twilio),
    "telnyx": ("telnyx", telnyx),
}


@attrs.frozen
class Came:
    posts: int
    to: str

    def __str__(self) -> str:
        return f"{self.posts} ({self.to})"


def measure(send: Callable[[str], object], answer: bytes) -> Came:
    server = Faulty(answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    outcome = concurrent.futures.Future[str]()
    threading.Thread(target=run, args=(send, server.address, outcome), daemon=True).start()
    try:
        to = outcome.result(PATIENCE)
    except TimeoutError:
        to = "still waiting"
    posts = server.posts
    server.over.set()
    server.shutdown()
    server.server_close()
    return Came(posts, to)


def run(
    send: Callable[[str], object], address: str, outcome: concurrent.futures.Future[str]
) -> None:
    try:
        send(address)
        outcome.set_result("returned")
    except Exception as error:  # noqa: BLE001 -- whatever it is, its name is the result
        outcome.set_result(type(error).__name__)


def main() -> None:
    installed = {
        name: send for name, (module, send) in SENDERS.items() if importlib.util.find_spec(module)
    }
    cases = [(name, fault) for name in installed for fault in FAULTS]
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:  # most of it is waiting
        came = dict(
            zip(
                cases,
                pool.map(lambda case: measure(installed[case[0]], FAULTS[case[1]]), cases),
                strict=True,
            )
        )
    print(f"POSTs that one default send makes in at most {PATIENCE:g} s, and what it raised:\n")
    table(["", *FAULTS], [[name, *(came[name, fault] for fault in FAULTS)] for name in installed])
    for name in SENDERS.keys() - installed.keys():
        print(f"{name}: skipped, it is not installed")
    keep("others", {f"{name}: {fault}": each.posts for (name, fault), each in came.items()})
    for fault in FAULTS:
        check(came["orange-sms-async", fault].posts == 1, f"{fault}: one send is one POST")


if __name__ == "__main__":
    main()
