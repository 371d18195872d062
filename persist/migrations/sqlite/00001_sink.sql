-- Instants are text, UTC, as 2006-01-02 15:04:05.000000, and dates 2006-01-02:
-- they sort as they should and read as the same columns do in MySQL.

-- +goose Up
CREATE TABLE tombola_cluster (
    only_row   INTEGER NOT NULL DEFAULT 1 PRIMARY KEY CHECK (only_row = 1),
    cluster_id TEXT    NOT NULL
) STRICT;

CREATE TABLE sink_checkpoint (
    stream   INTEGER NOT NULL PRIMARY KEY, -- 0 is the bank, others are slices
    last_seq INTEGER NOT NULL,             -- the last event of the stream that is in this schema
    last_at  TEXT                          -- when that event happened
) STRICT;

CREATE TABLE send_log (
    grant_id   INTEGER NOT NULL PRIMARY KEY, -- slice << 48 | sequence
    prize_id   TEXT    NOT NULL,
    user_id    TEXT    NOT NULL,
    code       TEXT,
    request_id TEXT,
    day        TEXT    NOT NULL,             -- the date in the prize's time zone
    granted_at TEXT    NOT NULL,
    voided_at  TEXT
) STRICT;

-- Users come in no order. An index on user_id alone would have every batch
-- rewrite a page of the index for each of its rows, so the index is a new one
-- for each 16,384 sequences of a stream: a batch changes only its last part, and
-- a search looks into each part.
CREATE INDEX send_log_user ON send_log (grant_id >> 14, user_id);

CREATE TABLE prize_send_num (
    prize_id TEXT    NOT NULL PRIMARY KEY,
    sent     INTEGER NOT NULL -- grants not voided
) STRICT, WITHOUT ROWID;

CREATE TABLE daily_send (
    prize_id TEXT    NOT NULL,
    day      TEXT    NOT NULL,
    sent     INTEGER NOT NULL, -- grants not voided
    PRIMARY KEY (prize_id, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE coupon_code (
    prize_id   TEXT    NOT NULL,
    code       TEXT    NOT NULL,
    status     TEXT    NOT NULL CHECK (status IN ('available', 'issued', 'voided', 'revoked')),
    grant_id   INTEGER,
    generation INTEGER NOT NULL, -- a row is only replaced by one of a later generation
    PRIMARY KEY (prize_id, code)
) STRICT, WITHOUT ROWID;
