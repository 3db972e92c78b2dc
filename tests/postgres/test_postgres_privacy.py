"""What a database says of a row, or of a password, is shown to nobody."""

import logging
import pickle
import ssl
import time
import traceback

import pytest
import trustme
from disk import MONTH
from lossy import LossyWire

from orange_sms_async import OutboundMessage, OutboxUnusable, PostgresOutbox, Priority
from orange_sms_async.outbox import Entry

pytestmark = pytest.mark.real_time

NUMBER, TEXT, PASSWORD = "+2250700000817", "Votre code est 4711", "hunter2"


def shown_by(error):
    """All that any log or report could take from an error."""
    whole = "".join(traceback.format_exception(error))
    behind = [error.__cause__, error.__context__]
    return f"{whole} {error!r} {error.args} {behind} {pickle.dumps(error.args)!r}"


async def test_an_error_that_prints_the_row(dsn, db, caplog):
    """
    PostgreSQL's DETAIL of a violation holds number and text; ours does not.
    """
    caplog.set_level(logging.DEBUG)
    outbox = PostgresOutbox(dsn)
    await outbox.open(time.time(), MONTH)
    await db.execute("ALTER TABLE orange_sms.message ADD CONSTRAINT odd CHECK (priority > 5)")
    with pytest.raises(OutboxUnusable) as refused:
        await outbox.add(Entry(OutboundMessage(NUMBER, TEXT), Priority.NORMAL))
    await db.execute("ALTER TABLE orange_sms.message DROP CONSTRAINT odd")
    await outbox.aclose()

    assert "CheckViolationError (23514)" in str(refused.value)
    for secret in (NUMBER, NUMBER[1:], TEXT):
        assert secret not in shown_by(refused.value)
        assert secret not in caplog.text


async def test_a_claim_and_an_outbox_show_nothing(dsn):
    outbox = PostgresOutbox(dsn.replace("postgres@", f"postgres:{PASSWORD}@"))
    await outbox.open(time.time(), MONTH)
    assert await outbox.take_turn(time.time())
    await outbox.add(Entry(OutboundMessage(NUMBER, TEXT), Priority.NORMAL))
    claim = await outbox.claim(time.time())
    await outbox.aclose()

    for secret in (NUMBER, TEXT, PASSWORD):
        assert secret not in f"{claim!r} {outbox!r} {outbox.place!r}"


async def test_a_password_that_is_refused(postgres, db, caplog):
    """
    Wherever in the DSN it stood.
    """
    caplog.set_level(logging.DEBUG)
    for dsn in (
        f"postgresql://nobody:{PASSWORD}@127.0.0.1:{postgres.port}/migrated",
        f"postgresql://nobody@127.0.0.1:{postgres.port}/migrated?password={PASSWORD}",
    ):
        with pytest.raises(OutboxUnusable, match="the user or the password") as refused:
            await PostgresOutbox(dsn).open(time.time(), MONTH)
        assert PASSWORD not in shown_by(refused.value)

    assert PASSWORD not in caplog.text


class TestTls:
    @pytest.fixture
    async def wire(self, postgres):
        """A server that speaks TLS, in the name of 127.0.0.1; and who says so."""
        authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        async with LossyWire(postgres.port, tls=context) as wire:
            yield wire, authority

    @pytest.fixture
    def through(self, postgres, dsn, wire, tmp_path):
        """Name the server through the wire, and who is trusted."""

        def dsn_of(authority):
            file = tmp_path / "authority.pem"
            authority.cert_pem.write_to_path(str(file))
            moved = dsn.replace(str(postgres.port), str(wire[0].port))
            return f"{moved}?sslmode=verify-full&sslrootcert={file}"

        return dsn_of

    async def test_it_is_as_the_dsn_says(self, wire, through):
        """
        With libpq's own parameters: the certificate is looked at.
        """
        outbox = PostgresOutbox(through(wire[1]))
        await outbox.open(time.time(), MONTH)
        assert await outbox.add(Entry(OutboundMessage(NUMBER, TEXT), Priority.NORMAL)) is None
        await outbox.aclose()

    async def test_another_authority_is_refused(self, through):
        with pytest.raises(OutboxUnusable, match="SSLCertVerificationError"):
            await PostgresOutbox(through(trustme.CA())).open(time.time(), MONTH)

    async def test_a_server_without_it_is_refused(self, dsn):
        with pytest.raises(OutboxUnusable, match="no connection"):
            await PostgresOutbox(f"{dsn}?sslmode=require").open(time.time(), MONTH)
