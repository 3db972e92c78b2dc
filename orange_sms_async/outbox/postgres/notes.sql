-- Version 2: what the rules of a gate keep, the same for all processes of an account.

-- A count is in the tally until it has lapsed, which is found out when the next one is made; what
-- was not sent lapses at once. On a list, a member counts for nothing and stays.
CREATE TABLE orange_sms.note (
    account integer NOT NULL,
    name text NOT NULL,
    member text NOT NULL,
    units integer NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (account, name, member)
);
CREATE INDEX noted_of ON orange_sms.note (account, member) WHERE units > 0;
CREATE INDEX lapsing ON orange_sms.note (account, name, until) WHERE units > 0;
CREATE INDEX lapsed ON orange_sms.note (account, until) WHERE units > 0;

CREATE TABLE orange_sms.tally (
    account integer NOT NULL,
    name text NOT NULL,
    units bigint NOT NULL,
    PRIMARY KEY (account, name)
) WITH (fillfactor = 50);

-- Count a member, unless that would be too much within so long. One at a time does so for a name:
-- the row of its tally is locked, and each statement after that sees what others committed.
-- _fresh: what was counted a moment ago need not be counted anew.
CREATE FUNCTION orange_sms.take(
    _account integer, _name text, _member text, _units integer, _most bigint, _within float8,
    _fresh float8, _at timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    _until timestamptz := _at + make_interval(secs => _within);
    _total bigint;
BEGIN
    IF EXISTS (SELECT 1 FROM orange_sms.note
        WHERE account = _account AND name = _name AND member = _member
        AND until > _until - make_interval(secs => _within * _fresh)) THEN
        RETURN true;
    END IF;
    INSERT INTO orange_sms.tally AS t VALUES (_account, _name, 0)
        ON CONFLICT (account, name) DO UPDATE SET units = t.units;
    PERFORM orange_sms.lapse(_account, _name, _at);
    SELECT units INTO _total FROM orange_sms.tally WHERE account = _account AND name = _name;
    UPDATE orange_sms.note SET until = _until
        WHERE account = _account AND name = _name AND member = _member;
    IF FOUND THEN
        RETURN true;
    END IF;
    IF _total + _units > _most THEN
        RETURN false;
    END IF;
    UPDATE orange_sms.tally SET units = _total + _units WHERE account = _account AND name = _name;
    INSERT INTO orange_sms.note VALUES (_account, _name, _member, _units, _until);
    RETURN true;
END $$;

-- Whoever calls has locked the tally of the name.
CREATE FUNCTION orange_sms.lapse(_account integer, _name text, _at timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH lapsed AS (
        DELETE FROM orange_sms.note
        WHERE account = _account AND name = _name AND units > 0 AND until <= _at RETURNING units)
    UPDATE orange_sms.tally SET units = tally.units - gone.units
    FROM (SELECT sum(units) AS units FROM lapsed HAVING count(*) > 0) gone
    WHERE account = _account AND name = _name
$$;

-- Forget counts that have lapsed and that nobody looks at any more; some at once.
CREATE FUNCTION orange_sms.forget_notes(_account integer, _at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    _tally record;
BEGIN
    FOR _tally IN SELECT t.name FROM orange_sms.tally t WHERE t.account = _account AND t.name IN (
            SELECT n.name FROM orange_sms.note n
            WHERE n.account = _account AND n.units > 0 AND n.until <= _at
            ORDER BY n.until LIMIT 2000)
        ORDER BY t.name FOR NO KEY UPDATE OF t SKIP LOCKED
    LOOP
        PERFORM orange_sms.lapse(_account, _tally.name, _at);
        DELETE FROM orange_sms.tally t
            WHERE t.account = _account AND t.name = _tally.name AND t.units <= 0;
    END LOOP;
END $$;

CREATE FUNCTION orange_sms.not_sent() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE orange_sms.note SET until = '-infinity'
        WHERE account = new.account AND member = new.reference AND units > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER not_sent AFTER UPDATE OF state ON orange_sms.message FOR EACH ROW
    WHEN (new.state IN ('failed', 'expired', 'withdrawn') AND old.state <> new.state)
    EXECUTE FUNCTION orange_sms.not_sent();

REVOKE ALL ON FUNCTION orange_sms.take, orange_sms.lapse, orange_sms.forget_notes,
    orange_sms.not_sent FROM PUBLIC;

-- Who may send from version 1 may send from this one.
DO $$
DECLARE
    _role text;
BEGIN
    FOR _role IN SELECT DISTINCT acl.grantee::regrole::text
        FROM pg_class c, aclexplode(c.relacl) acl
        WHERE c.oid = 'orange_sms.message'::regclass AND acl.privilege_type = 'UPDATE'
        AND acl.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE 'GRANT SELECT, INSERT, UPDATE, DELETE ON orange_sms.note, orange_sms.tally TO '
            || _role;
        EXECUTE 'GRANT EXECUTE ON FUNCTION orange_sms.take, orange_sms.lapse, '
            'orange_sms.forget_notes, orange_sms.not_sent TO ' || _role;
    END LOOP;
END $$;
