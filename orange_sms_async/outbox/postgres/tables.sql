-- Version 1: where the messages of all accounts of a fleet wait, and their outcomes.
-- No CHECK and no foreign key: the DETAIL of a violation prints the whole row, number and text.
CREATE SCHEMA orange_sms;

CREATE TABLE orange_sms.version (number integer NOT NULL);
INSERT INTO orange_sms.version VALUES (1);

-- The rules for numbers, written anew by each migration: they grow with the package.
CREATE TABLE orange_sms.country (
    calling_code text PRIMARY KEY,
    name text NOT NULL,
    digits integer[] NOT NULL,
    landlines text NOT NULL,
    rule text NOT NULL
);

-- One row an account, updated with every claim: room for HOT updates keeps it in a few pages.
CREATE TABLE orange_sms.account (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    rate float8 NOT NULL,
    guard float8,
    key bytea NOT NULL,
    sender uuid,
    holder text,
    since timestamptz,
    sender_until timestamptz NOT NULL DEFAULT '-infinity',
    claimed_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 10);

CREATE TABLE orange_sms.message (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account integer NOT NULL,
    reference text NOT NULL,
    state text NOT NULL,
    priority smallint NOT NULL,
    not_before timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    on_unknown text NOT NULL,
    recipient text,
    text text,
    sender_name text,
    sender_address text,
    on_net boolean NOT NULL,
    context text,
    submitted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    claimed_by uuid,
    attempt integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    attempted_at timestamptz,
    denied_at timestamptz,
    finished_at timestamptz,
    resource_id text,
    error text,
    reason text,
    details text,
    settled_by text,
    delivery text,
    delivered_at timestamptz,
    fingerprint bytea,
    UNIQUE (account, reference)
) WITH (
    fillfactor = 85,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 50000,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 1
);
-- Each index holds only the rows it is for: a million finished ones cost the ready ones nothing.
CREATE INDEX ready ON orange_sms.message (account, priority, id) WHERE state = 'queued';
CREATE INDEX scheduled ON orange_sms.message (account, priority, not_before)
    WHERE state = 'scheduled';
CREATE INDEX sending ON orange_sms.message (account, lease_until) WHERE state = 'sending';
CREATE INDEX expiring ON orange_sms.message (account, expires_at)
    WHERE state IN ('queued', 'scheduled') AND expires_at < 'infinity';
CREATE INDEX doubtful ON orange_sms.message (account, recipient)
    WHERE state IN ('unknown', 'sending') OR on_unknown = 'resent' OR denied_at IS NOT NULL;
CREATE INDEX accepted ON orange_sms.message (account, resource_id) WHERE resource_id IS NOT NULL;
CREATE INDEX forgettable ON orange_sms.message (account, finished_at)
    WHERE finished_at IS NOT NULL AND state <> 'unknown';
CREATE INDEX delivery ON orange_sms.message (account, delivery) WHERE delivery IS NOT NULL;

CREATE TABLE orange_sms.receipt (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account integer NOT NULL,
    resource_id text NOT NULL,
    status text NOT NULL,
    number text,
    address text,
    arrived_at timestamptz NOT NULL
);
CREATE INDEX received ON orange_sms.receipt (account, resource_id, status);
CREATE INDEX received_of ON orange_sms.receipt (account, number);
CREATE INDEX received_at ON orange_sms.receipt (account, arrived_at);
