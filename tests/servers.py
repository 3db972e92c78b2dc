"""What the tests of engines ask for: each engine, and a server that it speaks to."""

import ssl

import pytest
import trustme
from bytesserver import BytesServer
from orange import CREDENTIALS

from orange_sms_async import Client


@pytest.fixture(params=["httpx", "httpx2", "aiohttp"])
def engine(request):
    return request.param


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    """What makes a server speak https in the name of 127.0.0.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch):
    """Have clients trust the authority that the server's certificate is of."""
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


@pytest.fixture(params=["IPv4", "IPv6", "TLS"])
async def server(request):
    tls = None
    if request.param == "TLS":
        request.getfixturevalue("trusted")
        tls = request.getfixturevalue("tls")
    async with BytesServer("::1" if request.param == "IPv6" else "127.0.0.1", tls) as server:
        yield server


@pytest.fixture
async def plain():
    """A server where it does not matter over what it is reached."""
    async with BytesServer() as server:
        yield server


@pytest.fixture
async def client(engine, server):
    async with Client(CREDENTIALS, base_url=server.base_url, timeout=1.5, engine=engine) as client:
        yield client
