"""The reasons of rules name a period as people do."""

from datetime import timedelta

import pytest

from orange_sms_async import OutboundMessage, Priority, gates
from orange_sms_async.cli.words import in_french
from orange_sms_async.outbox.memory import MemoryOutbox

MESSAGE = OutboundMessage("+2250700000001", "Bonjour")


@pytest.mark.parametrize(
    ("within", "english", "french"),
    [
        (timedelta(days=1), "24 hours", "24 heures"),
        (timedelta(days=30), "30 days", "30 jours"),
        (timedelta(hours=1), "1 hour", "1 heure"),
        (timedelta(minutes=90), "90 minutes", "90 minutes"),
        (timedelta(seconds=45), "45 seconds", "45 secondes"),
    ],
)
async def test_a_period_is_said_as_people_say_it(within, english, french):
    asked = gates.Asked(MESSAGE, Priority.BULK, 0.0, True, MemoryOutbox().notes, b"")
    for rule in (gates.PerRecipient(0, within), gates.Budget(0, within)):
        reason = str(await rule.ask(asked))

        assert reason.endswith(f" within {english}")
        assert in_french(reason).endswith(f" en {french}")
