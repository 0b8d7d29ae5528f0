-- Instants are microseconds since 1970 (BIGINT), booleans 0 or 1, JSON is TEXT, digests are 32 octets.
-- Text is sorted octet by octet, as SQLite sorts it, whatever the database's own order is.
-- Columns named sealed_… hold what crates/store/src/seal.rs made; their row is named beside each of them.

-- Which keys have sealed anything: opening needs all of them. Row: the key's id.
CREATE TABLE sealing_keys (
    id BIGINT PRIMARY KEY,
    sealed_check BYTEA NOT NULL
);

-- Which keys may seal nothing any more. One that is among those above too is being replaced: what it sealed is sealed
-- anew.
CREATE TABLE retired_keys (
    id BIGINT PRIMARY KEY
);

-- The last number given in each table. Numbers are taken before a row is written, because sealing binds to them, and
-- never given twice.
CREATE TABLE numbers (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO numbers (name, last)
VALUES ('certificates', 0), ('versions', 0), ('issuances', 0), ('challenge_records', 0), ('clients', 0), ('sessions', 0),
    ('users', 0), ('api_tokens', 0);

CREATE TABLE certificates (
    id BIGINT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    kind TEXT COLLATE "C" NOT NULL,
    -- What is shown and sorted by, as Certificate::issue_to computes it.
    issue_to TEXT COLLATE "C" NOT NULL,
    -- What is held; copied from the current version, so that a list reads one table.
    current_version BIGINT,
    held_issue_to TEXT COLLATE "C",
    not_before BIGINT,
    not_after BIGINT,
    -- What only a server certificate has.
    origin TEXT COLLATE "C",
    status TEXT COLLATE "C",
    -- The application; absent together. Row: the certificate's id.
    names TEXT COLLATE "C",
    dns_provider TEXT COLLATE "C",
    sealed_auth BYTEA,
    -- The code is shown until the next issuance begins, the evidence until one succeeds.
    failure_code BIGINT,
    failure TEXT COLLATE "C",
    failures_in_a_row BIGINT NOT NULL DEFAULT 0,
    next_issuance_at BIGINT,
    -- How pressing that is (core's Urgency: 0 is the most pressing), and when it becomes more pressing, if it does.
    urgency BIGINT NOT NULL DEFAULT 2,
    urgent_at BIGINT,
    -- The client that asks, 0 where nobody is known, and the turn of its application among those that are due; absent
    -- unless it waits for it.
    owner BIGINT NOT NULL DEFAULT 0,
    turn BIGINT,
    -- What the CA said of the renewal of what is held (RFC 9773), and when to ask it again; absent where there is nobody to
    -- ask. The instant is the one that was chosen within the window.
    renewal_ask_at BIGINT,
    renewal_window_start BIGINT,
    renewal_window_end BIGINT,
    renewal_at BIGINT,
    renewal_explanation TEXT COLLATE "C"
);
CREATE INDEX certificates_to_ask ON certificates (renewal_ask_at, id) WHERE renewal_ask_at IS NOT NULL;
CREATE INDEX certificates_due ON certificates (urgency, next_issuance_at, id) WHERE next_issuance_at IS NOT NULL AND turn IS NULL;
CREATE INDEX certificates_by_turn ON certificates (turn, next_issuance_at, id) WHERE turn IS NOT NULL;
CREATE INDEX certificates_urgent ON certificates (urgent_at, id) WHERE urgent_at IS NOT NULL;
-- What people look at first: what ends soon, and whether anything is tried before; what failed.
CREATE INDEX certificates_by_end ON certificates (not_after, next_issuance_at, not_before, status, kind, id) WHERE not_after IS NOT NULL;
CREATE INDEX certificates_failed ON certificates (id) WHERE status = 'issuance_fail';
-- One index for each order of a list; entries that hold nothing come last in both directions, ties go by id. Each ends
-- with the kind, so that a list of one kind reads nothing else on its way.
CREATE INDEX certificates_by_issue_to ON certificates (issue_to, id, kind);
CREATE INDEX certificates_by_issue_to_down ON certificates (issue_to DESC, id, kind);
CREATE INDEX certificates_by_expiration ON certificates ((not_after IS NULL), not_after, id, kind);
CREATE INDEX certificates_by_expiration_down ON certificates ((not_after IS NULL), not_after DESC, id, kind);
CREATE INDEX certificates_by_name ON certificates (name, id, kind);
CREATE INDEX certificates_by_kind ON certificates (kind, id);
CREATE INDEX certificates_by_kind_down ON certificates (kind DESC, id);

-- How many entries of each kind there are, kept by the transactions that add and delete them: counting a million takes
-- a quarter of a second.
CREATE TABLE certificate_counts (
    kind TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    entries BIGINT NOT NULL
);
INSERT INTO certificate_counts (kind, entries) VALUES ('server', 0), ('trusted', 0);

CREATE TABLE versions (
    id BIGINT PRIMARY KEY,
    certificate_id BIGINT NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,
    chain BYTEA NOT NULL,
    -- Row: the version's id.
    sealed_key BYTEA,
    issue_to TEXT COLLATE "C" NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    -- Where it was issued to us; absent for what was uploaded.
    directory TEXT COLLATE "C"
);
CREATE INDEX versions_of ON versions (certificate_id, id);

CREATE TABLE issuances (
    id BIGINT PRIMARY KEY,
    certificate_id BIGINT NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,
    step TEXT COLLATE "C" NOT NULL,
    -- Row of both: the issuance's id.
    sealed_application BYTEA NOT NULL,
    sealed_key BYTEA,
    directory TEXT COLLATE "C",
    order_url TEXT COLLATE "C",
    -- The CAs that did not issue, and what was seen; JSON.
    tried TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    trace TEXT COLLATE "C" NOT NULL DEFAULT '{"events":[]}',
    csr BYTEA,
    chain BYTEA,
    failure TEXT COLLATE "C",
    started_at BIGINT NOT NULL,
    -- When somebody may lease it: the end of the present lease, or a chosen pause. Absent once it is over.
    due_at BIGINT,
    fence BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX issuances_due ON issuances (due_at, id) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX issuances_running ON issuances (certificate_id) WHERE due_at IS NOT NULL;
CREATE INDEX issuances_of ON issuances (certificate_id, id);

-- Row 1: from when on a renewal in good time may begin, at any node.
CREATE TABLE pace (
    id BIGINT PRIMARY KEY,
    renewals_from BIGINT NOT NULL
);
INSERT INTO pace (id, renewals_from) VALUES (1, 0);

-- The last turn of each client, and of those that nobody is known for.
CREATE TABLE turns (
    owner BIGINT PRIMARY KEY,
    last BIGINT NOT NULL
);

-- The journal. It refers to nothing: a record outlives its issuance and its certificate.
CREATE TABLE challenge_records (
    id BIGINT PRIMARY KEY,
    issuance_id BIGINT NOT NULL,
    authorization_url TEXT COLLATE "C" NOT NULL,
    challenge_url TEXT COLLATE "C" NOT NULL,
    record_name TEXT COLLATE "C" NOT NULL,
    record_value TEXT COLLATE "C" NOT NULL,
    zone TEXT COLLATE "C" NOT NULL,
    dns_provider TEXT COLLATE "C" NOT NULL,
    -- Row: the record's id.
    sealed_auth BYTEA NOT NULL,
    handle TEXT COLLATE "C",
    failed_removals BIGINT NOT NULL DEFAULT 0,
    -- Not to be removed before: after a removal that failed, or one that may have come too early.
    again_at BIGINT,
    -- When to remove it; absent while its issuance runs.
    due_at BIGINT,
    -- Under which fence it was journalled.
    fence BIGINT NOT NULL DEFAULT 0,
    -- Whether it was removed, and is kept because somebody who has lost the issuance may still put it up.
    removed BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX challenge_records_of ON challenge_records (issuance_id, id);
-- Whether a running issuance wants a value that another leaves behind.
CREATE INDEX challenge_records_wanted ON challenge_records (record_name, record_value) WHERE due_at IS NULL;
CREATE INDEX challenge_records_due ON challenge_records (due_at, id) WHERE due_at IS NOT NULL;

-- Row: <kind>/<name>.
CREATE TABLE uploads (
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    sealed_content BYTEA NOT NULL,
    sealed_password BYTEA,
    kept_at BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE INDEX uploads_by_age ON uploads (kept_at);

CREATE TABLE clients (
    id BIGINT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    client_id TEXT COLLATE "C" NOT NULL UNIQUE,
    secret BYTEA NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    networks TEXT COLLATE "C" NOT NULL
);

-- A row for each pair of tokens; the pairs of one session have its number and at most one of them is current.
CREATE TABLE sessions (
    access BYTEA NOT NULL PRIMARY KEY,
    refresh BYTEA NOT NULL UNIQUE,
    session_id BIGINT NOT NULL,
    client_id BIGINT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    access_ends BIGINT NOT NULL,
    refresh_ends BIGINT NOT NULL,
    is_current BIGINT NOT NULL,
    -- The first instant at which neither token is accepted, once it was replaced or revoked.
    dies_at BIGINT
);
CREATE INDEX sessions_of ON sessions (client_id, access_ends);
CREATE INDEX sessions_by_session ON sessions (session_id);

CREATE TABLE failed_logins (
    subject TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    blocked_until BIGINT,
    last_at BIGINT NOT NULL
);

-- Row: the directory.
CREATE TABLE acme_accounts (
    directory TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sealed_credentials BYTEA NOT NULL,
    -- Whether the CA knows it.
    registered BIGINT NOT NULL
);

-- What was spent at each CA: one row for each bucket that is not full.
CREATE TABLE spendings (
    directory TEXT COLLATE "C" NOT NULL,
    counted TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    full_at BIGINT NOT NULL,
    PRIMARY KEY (directory, counted, key)
);
CREATE INDEX spendings_by_age ON spendings (full_at);

-- Who is just writing to a zone, and until when at the latest, by the database's clock.
CREATE TABLE zone_locks (
    zone TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL,
    ends_at BIGINT NOT NULL
);

-- Row: the name.
CREATE TABLE settings (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sealed_value BYTEA NOT NULL
);

-- Row 1: clients, users and tokens; row 2: entries and settings. What others remember of them is void when it grows.
CREATE TABLE epoch (
    id BIGINT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO epoch (id, value) VALUES (1, 1), (2, 1);

CREATE TABLE users (
    id BIGINT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    role TEXT COLLATE "C" NOT NULL,
    -- A hash, in the PHC string format.
    password TEXT COLLATE "C" NOT NULL,
    disabled BIGINT NOT NULL,
    -- Row: the user's id. It is asked for once it is confirmed.
    sealed_totp BYTEA,
    totp_confirmed BIGINT NOT NULL,
    totp_step BIGINT,
    created_at BIGINT NOT NULL,
    last_login_at BIGINT
);

CREATE TABLE browser_sessions (
    token BYTEA NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    opened_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
CREATE INDEX browser_sessions_of ON browser_sessions (user_id);

CREATE TABLE api_tokens (
    id BIGINT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    token BYTEA NOT NULL UNIQUE,
    role TEXT COLLATE "C" NOT NULL,
    -- JSON; absent where the role is not narrowed.
    scopes TEXT COLLATE "C",
    expires_at BIGINT,
    owner_id BIGINT REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX api_tokens_of ON api_tokens (owner_id);

-- Row 1, where the first user may still be made by whoever has the token.
CREATE TABLE setup_token (
    id BIGINT PRIMARY KEY,
    token BYTEA NOT NULL
);

-- Who did what: core/src/audit/chain.rs says how the entries are chained. None is ever changed.
CREATE TABLE audit (
    sequence BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor_kind TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,
    link BYTEA NOT NULL
);

-- Row 1: the end of the chain. Whoever adds an entry changes it, so that there is one chain whoever adds.
CREATE TABLE audit_head (
    id BIGINT PRIMARY KEY,
    sequence BIGINT NOT NULL,
    link BYTEA NOT NULL
);
INSERT INTO audit_head (id, sequence, link) VALUES (1, 0, decode(repeat('00', 32), 'hex'));

CREATE FUNCTION audit_is_not_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is never changed';
END
$$;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_not_changed();
