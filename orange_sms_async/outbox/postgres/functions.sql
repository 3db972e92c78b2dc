-- What is done in one round trip, so that a claim holds even if the connection is lost.

-- A commit that the disk does not have yet could be undone by a crash, and a message sent twice.
CREATE FUNCTION orange_sms.durable() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
END $$;

-- The time from which a message can be claimed; NULL if none waits.
CREATE FUNCTION orange_sms.ready_at(_account integer) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN EXISTS (SELECT 1 FROM orange_sms.message WHERE account = _account AND state = 'queued')
        THEN '-infinity'::timestamptz
        ELSE (SELECT min(first.not_before) FROM generate_series(0, 2) lane, LATERAL (
            SELECT not_before FROM orange_sms.message
            WHERE account = _account AND state = 'scheduled' AND priority = lane
            ORDER BY not_before LIMIT 1) first)
    END
$$;

-- Whether something has waited for a sender so long that there may be none.
CREATE FUNCTION orange_sms.neglected(_account integer, _at timestamptz, _now timestamptz)
RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT 1 FROM generate_series(0, 2) lane, LATERAL (
            SELECT submitted_at FROM orange_sms.message
            WHERE account = _account AND state = 'queued' AND priority = lane
            ORDER BY id LIMIT 1) first
        WHERE first.submitted_at <= _now - interval '1 s')
    OR EXISTS (
        SELECT 1 FROM generate_series(0, 2) lane, LATERAL (
            SELECT not_before FROM orange_sms.message
            WHERE account = _account AND state = 'scheduled' AND priority = lane
            ORDER BY not_before LIMIT 1) first
        WHERE first.not_before <= _at - interval '1 s')
    OR EXISTS (
        SELECT 1 FROM orange_sms.message
        WHERE account = _account AND state = 'sending' AND lease_until <= _now - interval '1 s')
    OR EXISTS (
        SELECT 1 FROM orange_sms.message
        WHERE account = _account AND state IN ('queued', 'scheduled')
        AND expires_at < 'infinity' AND expires_at <= _at - interval '1 s')
$$;

-- Take the turn, unless another process has it. Processes that stand by read, and write nothing.
-- _at is the caller's time, for the users' dates; the database alone times the turn.
CREATE FUNCTION orange_sms.take_turn(
    _account integer, _me uuid, _holder text, _at timestamptz, _fence float8,
    OUT had boolean, OUT wait float8, OUT guard float8,
    OUT silent text, OUT silent_since timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    a orange_sms.account;
    _now timestamptz;
BEGIN
    had := false;
    FOR locked IN 0..1 LOOP
        IF locked = 0 THEN
            SELECT * INTO a FROM orange_sms.account WHERE id = _account;
        ELSE
            SELECT * INTO a FROM orange_sms.account WHERE id = _account FOR NO KEY UPDATE;
        END IF;
        _now := clock_timestamp();  -- now() is from before the wait for the lock
        guard := a.guard;
        IF a.sender = _me THEN
            had := true;
            RETURN;
        END IF;
        -- One that ends beyond a minute was written before the clock was put back.
        IF a.sender_until > _now AND a.sender_until < _now + interval '1 min' THEN
            wait := extract(epoch FROM a.sender_until) - extract(epoch FROM _now);
            IF a.claimed_at < _now - make_interval(secs => 2 + 2 / a.rate)
                AND orange_sms.ready_at(_account) = '-infinity' THEN
                silent := a.holder;
                silent_since := a.since;
            END IF;
            RETURN;
        END IF;
        -- A sender that idles renews nothing, and goes on as soon as something comes to wait.
        IF a.sender IS NOT NULL AND NOT orange_sms.neglected(_account, _at, _now) THEN
            RETURN;
        END IF;
    END LOOP;
    PERFORM orange_sms.durable();
    UPDATE orange_sms.account SET sender = _me, holder = _holder, since = _now, claimed_at = _now,
        sender_until = _now + make_interval(secs => _fence + 1) WHERE id = _account;
    had := true;
END $$;

-- Take up to _most messages, each of which may leave until the fence after this was asked for.
-- _floor: for each lane an id below which nothing waits; dead rows below it are not walked over.
-- One row says how it went, with a NULL id; each other one is a message.
CREATE FUNCTION orange_sms.claim(
    _account integer, _me uuid, _at timestamptz, _most integer, _fence float8, _lease float8,
    _guard float8, _floor bigint[])
RETURNS TABLE (had boolean, more boolean, promoted boolean, id bigint, attempt integer,
    priority smallint, not_before float8, expires_at float8, on_unknown text, recipient text,
    text text, sender_name text, sender_address text, on_net boolean, reference text, context text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    a orange_sms.account;
    m orange_sms.message;
    _now timestamptz;
    _left integer := _most;
    _promoted boolean := false;
BEGIN
    SELECT * INTO a FROM orange_sms.account WHERE id = _account FOR NO KEY UPDATE;
    IF a.sender IS DISTINCT FROM _me THEN
        had := false;
        RETURN NEXT;
        RETURN;
    END IF;
    had := true;
    _now := clock_timestamp();
    PERFORM orange_sms.durable();
    FOR lane IN 0..2 LOOP
        UPDATE orange_sms.message SET state = 'queued' WHERE id IN (
            SELECT id FROM orange_sms.message
            WHERE account = _account AND state = 'scheduled' AND priority = lane
            AND not_before <= _at ORDER BY not_before LIMIT 200 FOR NO KEY UPDATE SKIP LOCKED);
        _promoted := _promoted OR FOUND;
    END LOOP;
    FOR lane IN 0..2 LOOP
        EXIT WHEN _left = 0;
        FOR m IN SELECT * FROM orange_sms.message
            WHERE account = _account AND state = 'queued' AND priority = lane
            AND id >= CASE WHEN _promoted THEN 0 ELSE _floor[lane + 1] END
            ORDER BY id LIMIT _left FOR NO KEY UPDATE SKIP LOCKED
        LOOP
            -- Of a message sent again, the first receipt that may be its own came after the first
            -- attempt.
            UPDATE orange_sms.message SET state = 'sending', claimed_by = _me,
                attempt = attempt + 1, lease_until = _now + make_interval(secs => _lease),
                attempted_at = CASE on_unknown WHEN 'resent' THEN attempted_at ELSE _at END
                WHERE id = m.id RETURNING * INTO m;
            _left := _left - 1;
            id := m.id; attempt := m.attempt; priority := m.priority;
            not_before := greatest(0, extract(epoch FROM m.not_before));
            expires_at := extract(epoch FROM m.expires_at);
            on_unknown := m.on_unknown; recipient := m.recipient; text := m.text;
            sender_name := m.sender_name; sender_address := m.sender_address;
            on_net := m.on_net; reference := m.reference; context := m.context;
            RETURN NEXT;
        END LOOP;
    END LOOP;
    IF _left < _most OR a.sender_until < _now THEN
        UPDATE orange_sms.account SET guard = coalesce(_guard, guard),
            claimed_at = CASE WHEN _left < _most THEN _now ELSE claimed_at END,
            sender_until = _now + make_interval(secs => _fence + 1) WHERE id = _account;
    END IF;
    id := NULL;
    promoted := _promoted;
    more := EXISTS (
        SELECT 1 FROM generate_series(0, 2) lane, LATERAL (
            SELECT 1 FROM orange_sms.message
            WHERE account = _account AND state = 'queued' AND priority = lane
            AND id >= CASE WHEN _promoted THEN 0 ELSE _floor[lane + 1] END
            ORDER BY id LIMIT 1) first);
    RETURN NEXT;
END $$;

-- Keep the turn while there is something to do and it is done. A sender that claims nothing for too
-- long, although something waits, loses it to another.
CREATE FUNCTION orange_sms.renew_turn(
    _account integer, _me uuid, _fence float8, _patience float8, _guard float8) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    a orange_sms.account;
    _now timestamptz := clock_timestamp();
BEGIN
    SELECT * INTO a FROM orange_sms.account WHERE id = _account;
    IF a.sender IS DISTINCT FROM _me THEN
        RETURN false;
    END IF;
    IF a.claimed_at < _now - make_interval(secs => _patience)
        OR a.sender_until > _now + make_interval(secs => _fence)
        OR orange_sms.ready_at(_account) IS DISTINCT FROM '-infinity' THEN
        RETURN true;
    END IF;
    PERFORM orange_sms.durable();
    UPDATE orange_sms.account SET guard = coalesce(_guard, guard),
        sender_until = clock_timestamp() + make_interval(secs => _fence + 1)
        WHERE id = _account AND sender = _me;
    RETURN FOUND;
END $$;

-- Give up the turn: the next one begins a second after the last departure.
CREATE FUNCTION orange_sms.end_turn(_account integer, _me uuid, _left float8, _guard float8)
RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE orange_sms.account SET sender = NULL, holder = NULL, since = NULL,
        guard = coalesce(_guard, guard),
        sender_until = CASE WHEN _left < 1 THEN clock_timestamp() + make_interval(secs => 1 - _left)
            ELSE clock_timestamp() END
        WHERE id = _account AND sender = _me
$$;

-- Settle what expired, and what a dead sender left on the wire. _known: what the caller has in
-- hand; a claim of its own that it never heard of was never attempted.
CREATE FUNCTION orange_sms.tidy(
    _account integer, _me uuid, _at timestamptz, _reap boolean, _known bigint[],
    _lease float8)
RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    _now timestamptz := clock_timestamp();
BEGIN
    IF NOT EXISTS (SELECT 1 FROM orange_sms.account WHERE id = _account AND sender = _me) THEN
        RETURN;
    END IF;
    PERFORM orange_sms.durable();
    RETURN QUERY UPDATE orange_sms.message SET finished_at = _at,
        state = CASE on_unknown WHEN 'resent' THEN 'unknown' ELSE 'expired' END,
        error = CASE on_unknown WHEN 'resent' THEN 'OutcomeUnknown' ELSE 'MessageExpired' END,
        reason = CASE on_unknown
            WHEN 'resent' THEN 'it was attempted, with unknown outcome, and not sent again'
            ELSE 'its time ran out before it could be sent' END
        WHERE id IN (
            SELECT id FROM orange_sms.message
            WHERE account = _account AND state IN ('queued', 'scheduled')
            AND expires_at < 'infinity' AND expires_at <= _at
            ORDER BY expires_at LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED)
        RETURNING reference;
    -- Nobody could renew a lease while the database was away.
    _reap := _reap AND pg_postmaster_start_time() <= _now - make_interval(secs => _lease);
    UPDATE orange_sms.message SET state = 'queued', lease_until = NULL WHERE id IN (
        SELECT id FROM orange_sms.message
        WHERE account = _account AND state = 'sending' AND lease_until <= _now
        AND claimed_by = _me AND id <> ALL (_known) AND _reap FOR NO KEY UPDATE SKIP LOCKED);
    RETURN QUERY UPDATE orange_sms.message SET lease_until = NULL,
        state = CASE on_unknown WHEN 'resend' THEN 'queued' ELSE 'unknown' END,
        finished_at = CASE on_unknown WHEN 'resend' THEN NULL ELSE _at END,
        error = CASE on_unknown WHEN 'resend' THEN NULL ELSE 'OutcomeUnknown' END,
        reason = CASE on_unknown WHEN 'resend' THEN NULL
            ELSE 'the process ended while this was on the wire' END,
        on_unknown = CASE on_unknown WHEN 'resend' THEN 'resent' ELSE on_unknown END
        WHERE id IN (
            SELECT id FROM orange_sms.message
            WHERE account = _account AND state = 'sending' AND lease_until <= _now
            AND claimed_by IS DISTINCT FROM _me AND (_reap OR lease_until = '-infinity')
            ORDER BY lease_until LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED)
        RETURNING reference;
END $$;
