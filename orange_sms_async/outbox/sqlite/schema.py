"""What the files of a durable outbox hold, version by version."""

from pathlib import Path

import attrs

from orange_sms_async.errors import OutboxUnusable

CHANGES = 10_000
"""How many changes of messages a file remembers for processes that wait for them."""

# Each index holds only the rows it is for, so that a million finished or scheduled ones cost the
# ready ones nothing.
_MESSAGES = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    not_before REAL NOT NULL,
    expires_at REAL NOT NULL,
    on_unknown TEXT NOT NULL,
    recipient TEXT,
    text TEXT,
    sender_name TEXT,
    sender_address TEXT,
    on_net INTEGER NOT NULL,
    fingerprint BLOB,
    resource_id TEXT,
    error TEXT,
    reason TEXT,
    details TEXT,
    finished_at REAL
);
CREATE INDEX ready ON message (priority, id) WHERE state = 'queued';
CREATE INDEX scheduled ON message (not_before, priority) WHERE state = 'scheduled';
CREATE INDEX sending ON message (id) WHERE state = 'sending';
CREATE INDEX expiring ON message (expires_at)
    WHERE state IN ('queued', 'scheduled') AND expires_at < 9e999;
CREATE INDEX unknown ON message (id) WHERE state = 'unknown';
CREATE INDEX finished ON message (finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE secret (key BLOB NOT NULL);
INSERT INTO secret VALUES (randomblob(32));
"""
_RECEIPTS = """
CREATE TABLE receipt (
    id INTEGER PRIMARY KEY,
    resource_id TEXT NOT NULL,
    status TEXT NOT NULL,
    address TEXT,
    arrived_at REAL NOT NULL
);
CREATE INDEX received ON receipt (resource_id, status);
CREATE INDEX received_of ON receipt (address);
"""
_DELIVERY = """
ALTER TABLE message ADD COLUMN attempted_at REAL;
ALTER TABLE message ADD COLUMN delivery TEXT;
ALTER TABLE message ADD COLUMN settled_by TEXT;
CREATE INDEX accepted ON message (resource_id) WHERE resource_id IS NOT NULL;
CREATE INDEX doubtful ON message (recipient) WHERE state = 'unknown';
CREATE INDEX sent_again ON message (recipient) WHERE on_unknown = 'resent';
CREATE INDEX delivery ON message (delivery) WHERE delivery IS NOT NULL;
"""
_CLAIMS = """
ALTER TABLE message ADD COLUMN claimed_by TEXT;
ALTER TABLE message ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;
"""
# How an earlier version left its file is not known, unless it never held a message.
_OPENING = """
CREATE TABLE opening (owner TEXT, left_at REAL, ended INTEGER NOT NULL);
INSERT INTO opening SELECT NULL, NULL, NOT EXISTS (SELECT 1 FROM message);
"""
# When a message left that a person later called not sent: a receipt may still belong to it. And an
# index of what may be forgotten: unknown messages stay, and need not be read with each outcome.
_DENIED = """
ALTER TABLE message ADD COLUMN denied_at REAL;
CREATE INDEX denied ON message (recipient) WHERE denied_at IS NOT NULL;
CREATE INDEX forgettable ON message (finished_at)
    WHERE finished_at IS NOT NULL AND state <> 'unknown';
"""
# What the processes of one machine tell each other: who has the turn, how much has been written
# (each transaction is counted), what waits, in each lane and since when, and its outcomes.
_SHARED = """
ALTER TABLE message ADD COLUMN context TEXT;
ALTER TABLE message ADD COLUMN created_at REAL;
ALTER TABLE opening ADD COLUMN process INTEGER;
ALTER TABLE opening ADD COLUMN since REAL;
ALTER TABLE opening ADD COLUMN claimed_at REAL;
ALTER TABLE opening ADD COLUMN commits INTEGER NOT NULL DEFAULT 0;
CREATE TABLE lane (
    priority INTEGER PRIMARY KEY, waiting INTEGER NOT NULL, sending INTEGER NOT NULL
);
INSERT INTO lane VALUES (0, 0, 0), (1, 0, 0), (2, 0, 0);
UPDATE lane SET
    waiting = (SELECT count(*) FROM message
        WHERE state IN ('queued', 'scheduled') AND priority = lane.priority),
    sending = (SELECT count(*) FROM message WHERE state = 'sending' AND priority = lane.priority);
CREATE TABLE change (id INTEGER PRIMARY KEY, reference TEXT NOT NULL);
INSERT INTO change VALUES (0, '');
"""
# When the phone got the message, so that a summary of a million messages reads no receipts.
_DELIVERED = """
ALTER TABLE message ADD COLUMN delivered_at REAL;
UPDATE message SET delivered_at = (SELECT min(arrived_at) FROM receipt
    WHERE receipt.resource_id = message.resource_id AND status = 'DeliveredToTerminal')
WHERE delivery = 'DeliveredToTerminal';
"""
# The notes of rules. The tally includes a count until the next count finds that it has lapsed. The
# count of a message that was not sent lapses at once. A member of a list has no units, and stays.
_NOTES = """
CREATE TABLE note (
    name TEXT NOT NULL, member TEXT NOT NULL, units INTEGER NOT NULL, until REAL NOT NULL,
    PRIMARY KEY (name, member)
) WITHOUT ROWID;
CREATE INDEX noted_of ON note (member) WHERE units > 0;
CREATE INDEX lapsing ON note (name, until) WHERE units > 0;
CREATE INDEX lapsed ON note (until, name) WHERE units > 0;
CREATE TABLE tally (name TEXT PRIMARY KEY, units INTEGER NOT NULL) WITHOUT ROWID;
"""
_NOT_SENT = (
    """
CREATE TRIGGER not_sent AFTER UPDATE OF state ON message
WHEN new.state IN ('failed', 'expired', 'withdrawn') AND old.state <> new.state BEGIN
    UPDATE note SET until = 0 WHERE member = new.reference AND units > 0;
END
""",
)
# Not split at semicolons, as they have some inside.
_TRIGGERS = (
    """
CREATE TRIGGER entered AFTER INSERT ON message
WHEN new.state IN ('queued', 'scheduled') BEGIN
    UPDATE lane SET waiting = waiting + 1 WHERE priority = new.priority;
END
""",
    """
CREATE TRIGGER moved AFTER UPDATE OF state ON message WHEN old.state <> new.state BEGIN
    UPDATE lane SET
        waiting = waiting + (new.state IN ('queued', 'scheduled'))
            - (old.state IN ('queued', 'scheduled')),
        sending = sending + (new.state = 'sending') - (old.state = 'sending')
    WHERE priority = new.priority;
END
""",
    f"""
CREATE TRIGGER changed AFTER UPDATE OF finished_at, delivery ON message
WHEN new.finished_at IS NOT NULL BEGIN
    INSERT INTO change (reference) VALUES (new.reference);
    DELETE FROM change WHERE id < last_insert_rowid() - {CHANGES};
END
""",
)


@attrs.frozen
class Format:
    """
    A kind of file.

    Attributes:
        name: its name for people, with the article.
        application_id: by which the command `file` and this library recognise it.
        versions: the statements that upgrade each version of its schema to the next, starting from
            nothing.
    """

    name: str
    application_id: int
    versions: tuple[tuple[str, ...], ...]

    def unusable(self, path: Path, cause: str) -> OutboxUnusable:
        return OutboxUnusable(f"{self.name.partition(' ')[2]} {path}: {cause}")


def _statements(script: str) -> tuple[str, ...]:
    return tuple(filter(str.strip, script.split(";")))


OUTBOX = Format(  # "OSMS"
    "an outbox",
    0x4F534D53,
    (
        *map(_statements, (_MESSAGES, _RECEIPTS + _DELIVERY, _CLAIMS, _OPENING, _DENIED)),
        _statements(_SHARED) + _TRIGGERS,
        _statements(_DELIVERED),
        _statements(_NOTES) + _NOT_SENT,
    ),
)
RECEIPTS = Format("a store of receipts", 0x4F534D52, (_statements(_RECEIPTS),))  # "OSMR"
