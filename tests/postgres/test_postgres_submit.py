"""`orange_sms.submit`: a message in the caller's own transaction, by OutboundMessage's rules."""

import asyncio
import contextlib
import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from disk import MONTH

from orange_sms_async import InvalidMessage, OutboundMessage, PostgresOutbox, Priority, State
from orange_sms_async.countries import COUNTRIES
from orange_sms_async.outbox import Entry
from orange_sms_async.outbox.postgres import submission
from orange_sms_async.receipts import DeliveryStatus, rank

pytestmark = pytest.mark.real_time

NUMBER, TEXT = "+2250700000817", "Votre code est 4711"
SUBMIT = "SELECT orange_sms.submit('default', $1, $2, $3)"

REFUSED: dict[str, dict[str, Any]] = {
    "no plus": {"to": "2250701020304"},
    "too short": {"to": "+22507"},
    "too long": {"to": "+2250701020304050"},
    "spaces": {"to": "+225 07 01 02 03 04"},
    "a line's end": {"to": f"{NUMBER}\n"},
    "other digits": {"to": "+٢٢٥0701020304"},
    "as people write it": {"to": "+225 (07) 01-02.03/04"},
    "with spaces of French typography": {"to": "07\u202f01\u00a002\u202f03\u202f04"},
    "eight digits, as before 2021": {"to": "+22507010203"},
    "a digit too many": {"to": "+2210701020304"},
    "begins with 0": {"to": "+0250701020304"},
    "not of the thirteen countries": {"to": "+33612345678"},
    "no text": {"text": ""},
    "no reference": {"reference": ""},
    "a name too long": {"sender_name": "a" * 12},
    "a name with an accent": {"sender_name": "Café"},
    "an empty name": {"sender_name": ""},
    "a name on two lines": {"sender_name": "MonService\n"},
    "an address without tel": {"sender_address": "+2250000"},
    "an address too short": {"sender_address": "tel:+22"},
}
TAKEN: dict[str, dict[str, Any]] = {
    "the least": {},
    "a name": {"sender_name": "Mon Service"},
    "abroad, with an address": {"to": "+33612345678", "sender_address": "tel:+33123"},
    "a landline of Mali": {"to": "+2232020202"},
    "nine digits of DR Congo": {"to": "+243810203040"},
    "abroad, of fifteen digits": {"to": "+336070102030405", "sender_address": "tel:+33123"},
    "on net": {"on_net": True},
    "two lines": {"text": "Bonjour\n'; DROP SCHEMA orange_sms --"},
}


async def submit(db, **fields):
    of_sql = {"recipient" if name == "to" else name: value for name, value in fields.items()}
    whole = {"account": "default", "reference": "r", "recipient": NUMBER, "text": TEXT} | of_sql
    named = ", ".join(f"{name} => ${n}" for n, name in enumerate(whole, start=1))
    return await db.fetchval(f"SELECT orange_sms.submit({named})", *whole.values())


@pytest.mark.parametrize("case", REFUSED)
async def test_what_a_message_is_refused_for_the_function_refuses(db, case):
    """
    In the same words, which show neither number nor text.
    """
    fields = REFUSED[case]
    with pytest.raises(InvalidMessage) as ours:
        OutboundMessage(**{"to": NUMBER, "text": TEXT, "reference": "r"} | fields)
    with pytest.raises(asyncpg.InvalidParameterValueError) as theirs:
        await submit(db, **fields)

    assert str(ours.value) == theirs.value.message
    assert theirs.value.detail is None
    assert NUMBER not in str(theirs.value.as_dict())
    assert TEXT not in str(theirs.value.as_dict())


@pytest.mark.parametrize("case", TAKEN)
async def test_what_a_message_is_the_function_takes(db, dsn, case):
    """
    And it is claimed as it was submitted.
    """
    fields = TAKEN[case]
    expected = OutboundMessage(**{"to": NUMBER, "text": TEXT, "reference": "r"} | fields)

    assert await submit(db, **fields) == "queued"

    outbox = PostgresOutbox(dsn)
    await outbox.open(time.time(), MONTH)
    assert await outbox.take_turn(time.time())
    claim = await outbox.claim(time.time())
    await outbox.aclose()

    message = claim.message
    assert (expected.to, expected.text, expected.sender_name, expected.sender_address) == (
        message.to,
        message.text,
        message.sender_name,
        message.sender_address,
    )
    assert (expected.on_net, Priority.NORMAL, math.inf) == (
        message.on_net,
        claim.entry.priority,
        claim.entry.expires_at,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("account", "nobody"),
        ("account", None),
        ("reference", None),
        ("recipient", None),
        ("text", None),
        ("priority", 3),
        ("priority", None),
        ("on_unknown", "forget"),
        ("on_net", None),
        ("context", "00-abc"),
    ],
)
async def test_what_python_could_not_say_is_refused_too(db, name, value):
    """
    A NULL never reaches the table, whose own refusal would print the row.
    """
    with pytest.raises(asyncpg.InvalidParameterValueError) as refused:
        await submit(db, **{name: value})

    assert refused.value.detail is None


async def test_every_country_is_known(db):
    """
    The function has a list of its own.
    """
    for country in COUNTRIES:
        number = f"+{country.calling_code}" + "7" * country.digits[-1]
        await submit(db, reference=country.code, recipient=number)

    senders = await db.fetch("SELECT sender_address FROM orange_sms.message ORDER BY id")
    assert [country.sender_address for country in COUNTRIES] == [row[0] for row in senders]


def taken(number: str) -> bool:
    try:
        OutboundMessage(number, TEXT)
    except InvalidMessage:
        return False
    return True


async def test_a_number_is_one_in_both_or_in_neither(db):
    """
    Of each country, long and short, mobile and landline.
    """
    numbers = [
        f"+{country.calling_code}{(start + '0303030303')[:length]}"
        for country in COUNTRIES
        for length in range(3, 12)
        for start in ("7", "2", "20", "202", "212", "222", "27", "30", "443", "573", "6")
    ]
    submitted = []
    for number in numbers:
        with contextlib.suppress(asyncpg.InvalidParameterValueError):
            await submit(db, reference=number, recipient=number)
            submitted.append(number)

    assert [*filter(taken, numbers)] == submitted
    assert 100 < len(submitted) < len(numbers) / 2


async def test_statuses_have_the_rank_they_have_in_python(db):
    """
    A message never goes back, whoever brings it forward.
    """
    from receipt import receipt

    ranks = {
        status: await db.fetchval("SELECT orange_sms.rank($1)", str(status))
        for status in [*DeliveryStatus, "SomethingNew"]
    }
    assert sorted(ranks, key=ranks.__getitem__) == sorted(
        ranks, key=lambda status: rank(receipt("x", status=status))
    )


async def test_a_transaction_rolled_back_submitted_nothing(db, dsn):
    """
    Committed it is admitted, with the order it belongs to.
    """
    await db.execute("CREATE TEMPORARY TABLE orders (id integer)")
    for fails in (True, False):
        change = db.transaction()
        await change.start()
        await db.execute("INSERT INTO orders VALUES (1)")
        await db.fetchval(SUBMIT, f"order-{fails}", NUMBER, TEXT)
        await (change.rollback() if fails else change.commit())

    kept = await db.fetch("SELECT reference FROM orange_sms.message")
    assert ["order-False"] == [row[0] for row in kept]
    assert 1 == await db.fetchval("SELECT count(*) FROM orders")


async def test_a_reference_is_one_message(db):
    """
    Submitted again it is the one that is kept; with another text it is refused.
    """
    assert "queued" == await db.fetchval(SUBMIT, "a", NUMBER, TEXT)
    await db.execute("UPDATE orange_sms.message SET state = 'sent'")

    assert "sent" == await db.fetchval(SUBMIT, "a", NUMBER, TEXT)
    with pytest.raises(asyncpg.InvalidParameterValueError, match="another number or text"):
        await db.fetchval(SUBMIT, "a", NUMBER, "autre")


async def test_two_transactions_with_one_reference_submit_one_message(db, dsn):
    """
    The second waits for the first, and is told of its message.
    """
    second = await asyncpg.connect(dsn)
    change = db.transaction()
    await change.start()
    await db.fetchval(SUBMIT, "a", NUMBER, TEXT)
    waiting = asyncio.create_task(second.fetchval(SUBMIT, "a", NUMBER, TEXT))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await change.commit()

    assert "queued" == await waiting
    assert 1 == await db.fetchval("SELECT count(*) FROM orange_sms.message")
    await second.close()


async def test_a_forgotten_message_is_still_recognised(db, dsn):
    """
    By a keyed hash, in the function and in the outbox.
    """
    await db.fetchval(SUBMIT, "a", NUMBER, TEXT)
    await db.execute("UPDATE orange_sms.message SET state = 'sent', finished_at = now()")
    outbox = PostgresOutbox(dsn)
    await outbox.open(time.time(), MONTH)

    assert 1 == await outbox.forget()
    assert not await db.fetchval("SELECT count(recipient) + count(text) FROM orange_sms.message")
    assert "sent" == await db.fetchval(SUBMIT, "a", NUMBER, TEXT)
    known = await outbox.add(Entry(OutboundMessage(NUMBER, TEXT, reference="a"), Priority.BULK))
    assert State.SENT is known.state
    with pytest.raises(InvalidMessage, match="another number or text"):
        await outbox.add(Entry(OutboundMessage(NUMBER, "x", reference="a"), Priority.BULK))
    await outbox.aclose()


async def test_a_role_that_may_only_submit(db, postgres, dsn):
    """
    With the grants of the documentation it submits, and reads nothing.
    """
    await db.execute("DROP ROLE IF EXISTS shop")
    await db.execute("CREATE ROLE shop LOGIN")
    shop = await asyncpg.connect(dsn.replace("postgres@", "shop@"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await shop.fetchval(SUBMIT, "a", NUMBER, TEXT)
    await db.execute("GRANT USAGE ON SCHEMA orange_sms TO shop")
    await db.execute("GRANT EXECUTE ON FUNCTION orange_sms.submit TO shop")

    assert "queued" == await shop.fetchval(SUBMIT, "a", NUMBER, TEXT)
    for forbidden in (
        "SELECT text FROM orange_sms.message",
        "SELECT key FROM orange_sms.account",
        "SELECT orange_sms.end_turn(1, gen_random_uuid(), 0, 0)",
        "SELECT orange_sms.durable()",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await shop.fetchval(forbidden)
    await shop.close()
    await db.execute("DROP OWNED BY shop")
    await db.execute("DROP ROLE shop")


async def test_a_search_path_of_somebody_is_not_followed(db):
    """
    Who may submit could else have functions of their own run by who owns the outbox.
    """
    await db.execute("CREATE SCHEMA theirs")
    await db.execute(
        "CREATE FUNCTION theirs.octet_length(text) RETURNS integer LANGUAGE sql AS 'SELECT 1 / 0'"
    )
    await db.execute("SET search_path = theirs, pg_catalog")

    assert "queued" == await db.fetchval(SUBMIT, "a", NUMBER, TEXT)
    await db.execute("DROP SCHEMA theirs CASCADE")


async def test_the_servers_log_shows_neither_number_nor_text(db, postgres):
    """
    With the documented settings, also of what was refused.
    """
    before = len(postgres.log.read_bytes())  # what other tests provoked
    for reference, text in (("a", TEXT), ("a", "autre texte"), ("", TEXT)):
        with contextlib.suppress(asyncpg.InvalidParameterValueError):
            await db.fetchval(SUBMIT, reference, NUMBER, text)

    log = postgres.log.read_bytes()[before:].decode()
    assert "reference: already used" in log
    assert not {it for it in (NUMBER, NUMBER[1:], TEXT, "autre texte") if it in log}


class TestSubmission:
    async def test_it_is_what_a_driver_executes(self, db):
        """
        As asyncpg has it; SQLAlchemy, psycopg and Django are in the documentation.
        """
        later = datetime.now(UTC) + timedelta(hours=1)
        message = OutboundMessage(NUMBER, TEXT, reference="order-7", sender_name="MonService")
        it = submission(message, priority=Priority.URGENT, not_before=later, style="numeric")

        assert "scheduled" == await db.fetchval(it.statement, *it.parameters)
        row = await db.fetchrow("SELECT priority, not_before FROM orange_sms.message")
        assert (0, later) == tuple(row)

    @pytest.mark.parametrize("style", ["named", "pyformat", "numeric"])
    def test_its_repr_shows_neither_number_nor_text(self, style):
        it = submission(OutboundMessage(NUMBER, TEXT, reference="a"), style=style)

        assert "orange_sms.submit(" in repr(it)
        assert NUMBER not in repr(it)
        assert TEXT not in repr(it)

    @pytest.mark.parametrize(
        ("fields", "terms"),
        [
            ({"text": "a\0b"}, {}),
            ({"reference": "a\0b"}, {}),
            ({"reference": "é" * 1001}, {}),
            ({}, {"not_before": datetime(2030, 1, 1)}),  # noqa: DTZ001
            ({}, {"on_unknown": "forget"}),
        ],
    )
    def test_it_is_checked(self, fields, terms):
        """
        Before a transaction is begun for it.
        """
        message = OutboundMessage(**{"to": NUMBER, "text": TEXT, "reference": "a"} | fields)
        with pytest.raises(InvalidMessage):
            submission(message, **terms)
