-- What applications call, in a transaction of their own: the rules of OutboundMessage, in SQL.
-- A refusal is RAISEd: it names the field and the rule, and shows neither number nor text.

CREATE FUNCTION orange_sms.fingerprint(_key bytea, _recipient text, _text text) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT substring(sha256(_key || convert_to(_recipient || E'\n' || _text, 'UTF8')) FOR 16)
$$;

-- An empty fingerprint is that of a message whose key is in another outbox.
CREATE FUNCTION orange_sms.is_same(m orange_sms.message, _recipient text, _text text)
RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN m.fingerprint IS NULL THEN m.recipient = _recipient AND m.text = _text
        ELSE m.fingerprint IN ('', (SELECT orange_sms.fingerprint(key, _recipient, _text)
            FROM orange_sms.account WHERE id = m.account))
    END
$$;

CREATE FUNCTION orange_sms.refuse(_rule text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = _rule;
END $$;

-- Admit a message, as part of the caller's transaction. Returns its state: that of the message
-- kept already, if there is one of this reference with the same number and text.
CREATE FUNCTION orange_sms.submit(
    account text, reference text, recipient text, text text, priority integer DEFAULT 1,
    not_before timestamptz DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
    on_unknown text DEFAULT 'report', sender_name text DEFAULT NULL,
    sender_address text DEFAULT NULL, on_net boolean DEFAULT false, context text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    _account integer;
    _state text;
    _same boolean;
    _country orange_sms.country;
    _as_people_do constant text := '^\+?(?:[\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680'
        '\u2000-\u200a\u2010-\u2015\u2028\u2029\u202f\u205f\u3000().\-/]*[0-9]){7,15}$';
BEGIN
    SELECT id INTO _account FROM orange_sms.account WHERE name = submit.account;
    IF _account IS NULL THEN
        PERFORM orange_sms.refuse('account: there is none of this name; '
            'orange-sms outbox migrate DSN --account NAME --rate RATE makes one');
    END IF;
    IF (submit.reference <> '') IS NOT TRUE THEN
        PERFORM orange_sms.refuse('reference: a str that is not empty');
    END IF;
    IF octet_length(submit.reference) > 2000 THEN
        PERFORM orange_sms.refuse(
            'reference: at most 2000 bytes where an outbox is PostgreSQL');
    END IF;
    IF (submit.recipient COLLATE "C" ~ '^\+[1-9][0-9]{6,14}$') IS NOT TRUE THEN
        PERFORM orange_sms.refuse('to: ' || CASE
            WHEN submit.recipient COLLATE "C" ~ _as_people_do
            THEN 'write it as +2250701020304: a + first, no spaces'
            ELSE 'a number in international form (E.164) is + and 7 to 15 digits, '
                'as in +2250701020304' END);
    END IF;
    SELECT * INTO _country FROM orange_sms.country c
        WHERE c.calling_code = substr(submit.recipient, 2, 3);
    IF length(submit.recipient) - 4 <> ALL (_country.digits)
        AND substr(submit.recipient, 5) !~ ('^(?:' || _country.landlines || ')$') THEN
        PERFORM orange_sms.refuse(format(
            'to: a number in %s has %s, and this one has %s after %s', _country.name,
            _country.rule, length(submit.recipient) - 4, substr(submit.recipient, 1, 4)));
    END IF;
    IF (submit.text <> '') IS NOT TRUE THEN
        PERFORM orange_sms.refuse('text: a str that is not empty');
    END IF;
    IF submit.sender_name COLLATE "C" !~ '^[A-Za-z0-9 ]{1,11}$' THEN
        PERFORM orange_sms.refuse(
            'sender_name: 1 to 11 letters (without accents), digits or spaces');
    END IF;
    IF submit.sender_address COLLATE "C" !~ '^tel:\+[0-9]{3,15}$' THEN
        PERFORM orange_sms.refuse(
            'sender_address: tel:+ and 3 to 15 digits, as in tel:+2250000');
    END IF;
    IF submit.sender_address IS NULL AND _country.calling_code IS NULL THEN
        PERFORM orange_sms.refuse('to: not in one of the 13 countries Orange sends to; '
            'if your account sends there, give its sender_address');
    END IF;
    IF (submit.priority BETWEEN 0 AND 2) IS NOT TRUE THEN
        PERFORM orange_sms.refuse('priority: 0 (urgent), 1 (normal) or 2 (bulk)');
    END IF;
    IF (submit.on_unknown IN ('report', 'resend')) IS NOT TRUE THEN
        PERFORM orange_sms.refuse('on_unknown: "report" or "resend"');
    END IF;
    IF submit.context COLLATE "C" !~ '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$' THEN
        PERFORM orange_sms.refuse(
            'context: a traceparent, as W3C Trace Context writes it');
    END IF;
    IF submit.on_net IS NULL THEN
        PERFORM orange_sms.refuse('on_net: true or false');
    END IF;
    INSERT INTO orange_sms.message (account, reference, state, priority, not_before, expires_at,
        on_unknown, recipient, text, sender_name, sender_address, on_net, context)
    VALUES (_account, submit.reference,
        CASE WHEN submit.not_before IS NULL THEN 'queued' ELSE 'scheduled' END,
        submit.priority, coalesce(submit.not_before, '-infinity'),
        coalesce(submit.expires_at, 'infinity'), submit.on_unknown, submit.recipient, submit.text,
        submit.sender_name,
        coalesce(submit.sender_address, 'tel:+' || _country.calling_code || '0000'),
        submit.on_net, submit.context)
    ON CONFLICT DO NOTHING RETURNING state INTO _state;
    IF _state IS NULL THEN
        SELECT m.state, orange_sms.is_same(m, submit.recipient, submit.text) INTO _state, _same
            FROM orange_sms.message m
            WHERE m.account = _account AND m.reference = submit.reference;
        IF NOT _same THEN
            PERFORM orange_sms.refuse('reference: already used, with another number or text');
        END IF;
    END IF;
    RETURN _state;
END $$;

-- By default everybody may execute a function.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA orange_sms FROM PUBLIC;
