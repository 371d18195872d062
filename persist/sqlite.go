package persist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteBusy is how long SQLite itself waits for another writer. It is short
// because no context ends that wait; beyond it the transaction is done again.
const sqliteBusy = 100 * time.Millisecond

// openSQLite opens the database under a lock of its own: the first switch to
// WAL and the migrations must not meet those of another node, and SQLite has no
// lock that outlasts a transaction.
func openSQLite(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Path == "" {
		return nil, errors.New("no path")
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	unlock, err := sqliteLock(ctx, path+".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	writer, err := sqlitePool(path, 1, "0")
	if err != nil {
		return nil, err
	}
	reader, err := sqlitePool(path, readConns, "1")
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	s := &Store{dialect: sqliteDialect(), log: cfg.Logger, cluster: cfg.ClusterID, write: writer, read: reader}
	if err := s.prepare(ctx, s.write, cfg.ClusterID); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// sqlitePool opens path. One connection is enough to write, since SQLite has
// one writer at a time: the others wait in the pool instead of polling a lock.
func sqlitePool(path string, conns int, readOnly string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", sqliteDSN(path, url.Values{
		"_busy_timeout": {strconv.FormatInt(sqliteBusy.Milliseconds(), 10)},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"}, // in WAL mode less would lose commits with the power
		"_query_only":   {readOnly},
		// Pages that batch after batch changes are copied into the database
		// every 16 MiB instead of every 4.
		"_pragma": {"wal_autocheckpoint(4000)"},
	}))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

func sqliteDSN(path string, options url.Values) string {
	return (&url.URL{Scheme: "file", Path: path, RawQuery: options.Encode()}).String()
}

// sqliteLock takes a lock between processes, by a transaction that is held open
// in an empty database of its own. It ends with the process.
func sqliteLock(ctx context.Context, path string) (unlock func(), err error) {
	db, err := sql.Open("sqlite", sqliteDSN(path, url.Values{"_txlock": {"immediate"}}))
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(migrationWait)
	for {
		tx, err := db.BeginTx(context.WithoutCancel(ctx), nil)
		if err == nil {
			return func() {
				_ = tx.Rollback() // it wrote nothing
				_ = db.Close()
			}, nil
		}
		if !sqliteErrorIs(err, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) || time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), db.Close())
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), db.Close())
		}
	}
}

// sqliteOfUser looks into each part of the index send_log_user, which are those
// of all streams up to their checkpoints. CROSS JOIN keeps that order.
const sqliteOfUser = `(
	WITH RECURSIVE part (no, last) AS (
		SELECT stream << 34, (stream << 34) + (last_seq >> 14) FROM sink_checkpoint
		UNION ALL
		SELECT no + 1, last FROM part WHERE no < last
	)
	SELECT send_log.* FROM part CROSS JOIN send_log ON grant_id >> 14 = no AND user_id = ?
) WHERE TRUE`

func sqliteDialect() dialect {
	return dialect{
		name:           DriverSQLite,
		claimable:      "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'tombola_cluster'",
		addTotal:       " ON CONFLICT (prize_id) DO UPDATE SET sent = sent + excluded.sent",
		addDay:         " ON CONFLICT (prize_id, day) DO UPDATE SET sent = sent + excluded.sent",
		ofUser:         sqliteOfUser,
		statementBytes: maxStatement,
		// Bytes would be stored as BLOBs, which no text ever equals.
		text: func(b []byte) any { return string(b) },
		passing: func(err error) bool {
			return sqliteErrorIs(err, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
		},
		missing:  func(error) bool { return false },
		readOnly: func(error) bool { return false },
		duplicate: func(err error) bool {
			var e *sqlite.Error
			return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY ||
				e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE)
		},
	}
}

// sqliteErrorIs compares primary result codes: the extended ones (which kind of
// busy) are in the upper bits.
func sqliteErrorIs(err error, codes ...int) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, code := range codes {
		if e.Code()&0xff == code {
			return true
		}
	}
	return false
}
