-- MySQL commits every DDL statement on its own, so a migration that was cut
-- short is run again from its start: each statement must bear repeating.
-- +goose NO TRANSACTION

-- +goose Up
CREATE TABLE IF NOT EXISTS tombola_cluster (
    only_row   TINYINT UNSIGNED NOT NULL DEFAULT 1 PRIMARY KEY CHECK (only_row = 1),
    cluster_id VARBINARY(128)   NOT NULL
) ENGINE = InnoDB COMMENT = 'the one cluster that this schema belongs to';

CREATE TABLE IF NOT EXISTS sink_checkpoint (
    stream   SMALLINT UNSIGNED NOT NULL PRIMARY KEY COMMENT '0 is the bank, others are slices',
    last_seq BIGINT UNSIGNED   NOT NULL COMMENT 'the last event of the stream that is in this schema',
    last_at  DATETIME(6)       NULL COMMENT 'when that event happened, UTC'
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS send_log (
    grant_id   BIGINT UNSIGNED NOT NULL PRIMARY KEY COMMENT 'slice << 48 | sequence',
    prize_id   VARBINARY(64)   NOT NULL,
    user_id    VARBINARY(128)  NOT NULL,
    code       VARBINARY(64)   NULL,
    request_id VARBINARY(64)   NULL,
    day        DATE            NOT NULL COMMENT 'the date in the prize''s time zone',
    granted_at DATETIME(6)     NOT NULL COMMENT 'UTC',
    voided_at  DATETIME(6)     NULL COMMENT 'UTC',
    KEY send_log_user (user_id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS prize_send_num (
    prize_id VARBINARY(64) NOT NULL PRIMARY KEY,
    sent     BIGINT        NOT NULL COMMENT 'grants not voided'
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS daily_send (
    prize_id VARBINARY(64) NOT NULL,
    day      DATE          NOT NULL COMMENT 'the date in the prize''s time zone',
    sent     BIGINT        NOT NULL COMMENT 'grants not voided',
    PRIMARY KEY (prize_id, day)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS coupon_code (
    prize_id   VARBINARY(64)   NOT NULL,
    code       VARBINARY(64)   NOT NULL,
    status     ENUM ('available', 'issued', 'voided', 'revoked') NOT NULL,
    grant_id   BIGINT UNSIGNED NULL,
    generation BIGINT UNSIGNED NOT NULL COMMENT 'a row is only replaced by one of a later generation',
    PRIMARY KEY (prize_id, code)
) ENGINE = InnoDB;
