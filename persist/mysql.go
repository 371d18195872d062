package persist

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	dialTimeout = 5 * time.Second
	// replyTimeout bounds the wait for a statement of a batch. It is above
	// lockWait, so that a blocked statement fails by the server's own word.
	replyTimeout = 15 * time.Second
	lockWait     = 10 * time.Second

	// writeConns is above the number of streams that one server usually writes.
	writeConns = 4
	readConns  = 4
	// connLife is below what load balancers and servers usually grant an idle
	// connection.
	connLife = 3 * time.Minute

	// migrationWait is how long a node waits for another one's migration.
	migrationWait = time.Minute

	// maxStatement is what one INSERT holds at most: longer ones gain nothing.
	maxStatement = 1 << 20
)

// The server's error numbers that matter here.
const (
	mysqlDuplicate     = 1062
	mysqlLockWait      = 1205
	mysqlDeadlock      = 1213
	mysqlRecordChanged = 1020 // MariaDB's word for a conflict under snapshot isolation
	mysqlNoSuchTable   = 1146
	mysqlReadOnly      = 1290 // --read-only, or another option that forbids it
	mysqlReadOnlyTx    = 1792
	mysqlReadOnlyMode  = 1836
)

func openMySQL(ctx context.Context, cfg Config) (*Store, error) {
	writeCfg, err := mysqlConfig(cfg.DSN, cfg.Logger)
	if err != nil {
		return nil, err
	}
	readCfg := writeCfg.Clone()
	readCfg.ReadTimeout = 0
	writer, err := mysqlPool(writeCfg, writeConns)
	if err != nil {
		return nil, err
	}
	reader, err := mysqlPool(readCfg, readConns)
	if err != nil {
		return nil, err
	}
	s := &Store{dialect: mysqlDialect(), log: cfg.Logger, cluster: cfg.ClusterID, write: writer, read: reader}
	s.again = func(ctx context.Context) error { return s.lockAndPrepare(ctx, writeCfg.DBName) }
	if err := s.prepareMySQL(ctx, writeCfg.DBName); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) prepareMySQL(ctx context.Context, schema string) error {
	packet := 0
	if err := s.read.QueryRowContext(ctx, "SELECT @@max_allowed_packet").Scan(&packet); err != nil {
		return fmt.Errorf("ask for max_allowed_packet: %w", err)
	}
	s.dialect.statementBytes = min(maxStatement, packet) * 15 / 16
	return s.lockAndPrepare(ctx, schema)
}

func (s *Store) lockAndPrepare(ctx context.Context, schema string) error {
	unlock, err := mysqlLock(ctx, s.read, schema)
	if err != nil {
		return err
	}
	defer unlock()
	return s.prepare(ctx, s.read, s.cluster)
}

// mysqlConfig reads the DSN and sets what the writer depends on.
func mysqlConfig(dsn string, log *slog.Logger) (*mysql.Config, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("data source name: %w", err)
	}
	if cfg.DBName == "" {
		return nil, errors.New("data source name: no schema in it")
	}
	cfg.ParseTime = true
	cfg.Loc = time.UTC
	cfg.InterpolateParams = true // one round trip a statement, not three
	cfg.MultiStatements = false
	cfg.AllowAllFiles = false
	cfg.ClientFoundRows = true // rows affected are rows matched, as in SQLite
	cfg.RejectReadOnly = false // see Store.leave
	cfg.ColumnsWithAlias = false
	cfg.MaxAllowedPacket = 0 // ask the server
	cfg.Logger = driverLog{log}
	if cfg.Timeout == 0 {
		cfg.Timeout = dialTimeout
	}
	if cfg.ReadTimeout == 0 {
		cfg.ReadTimeout = replyTimeout
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = replyTimeout
	}
	if err := cfg.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, err
	}
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	cfg.Params["time_zone"] = "'+00:00'"
	cfg.Params["sql_mode"] = "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
	cfg.Params["innodb_lock_wait_timeout"] = fmt.Sprint(int(lockWait.Seconds()))
	return cfg, nil
}

func mysqlPool(cfg *mysql.Config, conns int) (*sql.DB, error) {
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxLifetime(connLife)
	return db, nil
}

func mysqlDialect() dialect {
	return dialect{
		name: DriverMySQL,
		claimable: "SELECT COUNT(*) FROM information_schema.tables" +
			" WHERE table_schema = DATABASE() AND table_name = 'tombola_cluster'",
		// VALUES() is deprecated in MySQL, but MariaDB has no row alias.
		addTotal:       " ON DUPLICATE KEY UPDATE sent = sent + VALUES(sent)",
		addDay:         " ON DUPLICATE KEY UPDATE sent = sent + VALUES(sent)",
		ofUser:         "send_log WHERE user_id = ?",
		sum:            mysqlSum(),
		statementBytes: maxStatement,
		// Bytes are sent as _binary'…', which no character set touches.
		text: func(b []byte) any { return b },
		passing: func(err error) bool {
			return mysqlErrorIs(err, mysqlDeadlock, mysqlLockWait, mysqlRecordChanged)
		},
		duplicate: func(err error) bool { return mysqlErrorIs(err, mysqlDuplicate) },
		missing:   func(err error) bool { return mysqlErrorIs(err, mysqlNoSuchTable) },
		readOnly: func(err error) bool {
			return mysqlErrorIs(err, mysqlReadOnly, mysqlReadOnlyTx, mysqlReadOnlyMode)
		},
	}
}

func mysqlErrorIs(err error, numbers ...uint16) bool {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return false
	}
	for _, n := range numbers {
		if e.Number == n {
			return true
		}
	}
	return false
}

// mysqlLock lets one node at a time migrate a schema. The lock belongs to a
// connection of its own; the server frees it when that ends.
func mysqlLock(ctx context.Context, db *sql.DB, schema string) (unlock func(), err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	// The names of locks are one space for the whole server, 64 bytes long.
	name := fmt.Sprintf("tombola-migrate-%x", sha256.Sum256([]byte(schema)))[:64]
	var got sql.NullInt64
	err = conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", name, int(migrationWait.Seconds())).Scan(&got)
	if err == nil && got.Int64 != 1 {
		err = fmt.Errorf("held by another node for more than %s", migrationWait)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock migrations of %s: %w", schema, err), conn.Close())
	}
	return func() {
		// Where this fails the connection is broken, and the lock free.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTimeout)
		defer cancel()
		_, _ = conn.ExecContext(ctx, "DO RELEASE_LOCK(?)", name)
		_ = conn.Close()
	}, nil
}

// driverLog takes what the driver wants said about broken connections. The
// error that goes with it reaches the caller as well.
type driverLog struct{ log *slog.Logger }

// Print implements mysql.Logger.
func (l driverLog) Print(v ...any) {
	l.log.Debug("mysql driver", "message", fmt.Sprint(v...))
}
