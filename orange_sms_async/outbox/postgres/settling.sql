-- The outcomes of claimed messages, and how far receipts have brought them.

-- From less to more, as the receipts' ranks in Python; what Orange added since is less than all.
CREATE FUNCTION orange_sms.rank(_status text) RETURNS integer
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_position(ARRAY['MessageWaiting', 'DeliveredToNetwork',
        'DeliveryUncertain', 'DeliveryImpossible', 'DeliveredToTerminal'], _status), 0)
$$;

-- One transaction at a time looks at the receipts of a number or an id: of two at once, each would
-- miss what the other is about to store. Locks are taken in one order, to avoid deadlocks.
CREATE FUNCTION orange_sms.look_alone(_account integer, _numbers text[], _ids text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    _lock bigint;
BEGIN
    FOR _lock IN
        SELECT DISTINCT hashtextextended(it, _account) AS lock FROM (
            SELECT 'number ' || unnest(_numbers) UNION ALL SELECT 'id ' || unnest(_ids)) AS of(it)
        WHERE it IS NOT NULL ORDER BY lock
    LOOP
        PERFORM pg_advisory_xact_lock(_lock);
    END LOOP;
END $$;

-- When the phone had the message with an id.
CREATE FUNCTION orange_sms.delivered_at(_account integer, _resource_id text) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(arrived_at) FROM orange_sms.receipt WHERE account = _account
    AND resource_id = _resource_id AND status = 'DeliveredToTerminal'
$$;

-- Bring the message with an id as far as its receipts go, never back.
CREATE FUNCTION orange_sms.advance(_account integer, _resource_id text) RETURNS SETOF text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE orange_sms.message SET delivery = furthest.status,
        delivered_at = orange_sms.delivered_at(_account, _resource_id)
    FROM (SELECT status FROM orange_sms.receipt
        WHERE account = _account AND resource_id = _resource_id
        ORDER BY orange_sms.rank(status) DESC, id LIMIT 1) furthest
    WHERE account = _account AND resource_id = _resource_id
    RETURNING reference
$$;

-- Store the outcomes of claimed messages. A claim that is over changes nothing, except that a
-- certain result still counts. _repeated: the answer to an earlier call was lost.
-- look: whether it may be certain now whose the receipts for the number are.
CREATE FUNCTION orange_sms.settle(
    _account integer, _at timestamptz, _repeated boolean, _references text[], _owners text[],
    _attempts integer[], _states text[], _resource_ids text[], _errors text[], _reasons text[],
    _details text[])
RETURNS TABLE (reference text, was text, delivery text, look boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM orange_sms.durable();
    PERFORM orange_sms.look_alone(_account, array_agg(recipient), _resource_ids)
        FROM orange_sms.message WHERE account = _account AND reference = ANY (_references);
    RETURN QUERY
    WITH said AS (
        SELECT * FROM unnest(_references, _owners, _attempts, _states, _resource_ids, _errors,
            _reasons, _details)
            AS s (reference, owner, attempt, state, resource_id, error, reason, details)),
    held AS (
        SELECT m.id, m.state AS was, s.* FROM said s JOIN orange_sms.message m
        ON m.account = _account AND m.reference = s.reference
        AND m.claimed_by::text = s.owner AND m.attempt = s.attempt
        WHERE m.state = 'sending'
        OR m.state = 'unknown' AND m.settled_by IS NULL AND s.state IN ('sent', 'failed')
        OR m.state = 'queued' AND s.state = 'sent'
        OR _repeated AND m.state = s.state AND m.resource_id IS NOT DISTINCT FROM s.resource_id
        ORDER BY m.id FOR NO KEY UPDATE OF m)
    UPDATE orange_sms.message m SET state = h.state, resource_id = h.resource_id,
        error = h.error, reason = h.reason, details = h.details, finished_at = _at,
        settled_by = NULL, lease_until = NULL,
        delivery = (SELECT r.status FROM orange_sms.receipt r
            WHERE r.account = _account AND r.resource_id = h.resource_id
            ORDER BY orange_sms.rank(r.status) DESC, r.id LIMIT 1),
        delivered_at = orange_sms.delivered_at(_account, h.resource_id)
    FROM held h WHERE m.id = h.id
    RETURNING m.reference, h.was, m.delivery,
        EXISTS (SELECT 1 FROM orange_sms.receipt r
            WHERE r.account = _account AND r.number = m.recipient AND r.resource_id <> '')
        AND (h.state = 'unknown' OR EXISTS (SELECT 1 FROM orange_sms.message d
            WHERE d.account = _account AND d.recipient = m.recipient AND d.state = 'unknown'));
END $$;
