package persist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
)

// The drivers of a Config.
const (
	DriverMySQL  = "mysql"
	DriverSQLite = "sqlite"
)

// Config says which database is the sink, and of which cluster.
type Config struct {
	// Driver is DriverMySQL or DriverSQLite.
	Driver string
	// DSN is, for MySQL (or MariaDB), go-sql-driver's data source name with a
	// schema that exists. What the writer depends on (time zone, character set,
	// sql_mode and the like) is set whatever it says; TLS, addresses, time-outs
	// and credentials are taken from it.
	DSN string
	// Path is the file of an SQLite database. It is created where missing, and
	// its folder too.
	Path string
	// ClusterID is the id of the node's cluster, 1 to 128 bytes.
	ClusterID string
	// Logger may be nil.
	Logger *slog.Logger
}

// Store is an open sink. Its methods may be called concurrently, also by
// several processes on the same database.
type Store struct {
	dialect dialect
	log     *slog.Logger
	cluster string
	// again makes the tables of a schema that has lost them; nil where that
	// can't be.
	again func(ctx context.Context) error
	// write has a time limit on each reply. read has none, since counting a
	// long send log takes as long as it takes; there the context decides.
	write, read *sql.DB
}

// Open connects to the database, brings its schema up to date and takes it for
// the cluster, or checks that it is the cluster's. Nodes may open a new
// database at the same time. It returns ErrForeignCluster where the database
// is another cluster's; other errors may pass (the database may be away), and
// Open can be tried again.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if n := len(cfg.ClusterID); n == 0 || n > 128 {
		return nil, fmt.Errorf("persist: cluster id of %d bytes, want 1 to 128", n)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	var s *Store
	var err error
	switch cfg.Driver {
	case DriverMySQL:
		s, err = openMySQL(ctx, cfg)
	case DriverSQLite:
		s, err = openSQLite(ctx, cfg)
	default:
		return nil, fmt.Errorf("persist: unknown driver %q", cfg.Driver)
	}
	if err != nil {
		return nil, fmt.Errorf("persist: open %s: %w", cfg.Driver, err)
	}
	return s, nil
}

// Close closes all connections. Calls that are under way fail.
func (s *Store) Close() error {
	if err := errors.Join(s.write.Close(), s.read.Close()); err != nil {
		return fmt.Errorf("persist: close: %w", err)
	}
	return nil
}

// prepare checks the owner, migrates, and claims. The owner is looked at before
// the migrations as well, so that a node that was pointed at a wrong database
// does not migrate it.
func (s *Store) prepare(ctx context.Context, db *sql.DB, cluster string) error {
	return s.dialect.redo(ctx, s.log, func() error {
		if err := checkMigrated(ctx, db, s.dialect, cluster); err != nil {
			return err
		}
		if err := migrate(ctx, db, s.dialect, s.log); err != nil {
			return err
		}
		return claim(ctx, db, s.dialect, cluster)
	})
}

// checkMigrated checks the owner of a database that may be empty yet.
func checkMigrated(ctx context.Context, db *sql.DB, d dialect, cluster string) error {
	var exists bool
	if err := db.QueryRowContext(ctx, d.claimable).Scan(&exists); err != nil {
		return fmt.Errorf("look for tombola_cluster: %w", err)
	}
	if !exists {
		return nil
	}
	if err := checkOwner(ctx, db, cluster); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return nil
}

// claim writes the cluster's id into a database that has none yet and checks it
// in one that has. Of several that claim at once the first one's id stays.
func claim(ctx context.Context, db *sql.DB, d dialect, cluster string) error {
	err := checkOwner(ctx, db, cluster)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	_, err = db.ExecContext(ctx, "INSERT INTO tombola_cluster (cluster_id) VALUES (?)", d.text([]byte(cluster)))
	if err != nil && !d.duplicate(err) {
		return fmt.Errorf("claim for cluster %q: %w", cluster, err)
	}
	return checkOwner(ctx, db, cluster)
}

// checkOwner returns sql.ErrNoRows, wrapped, where nobody has claimed the
// database yet.
func checkOwner(ctx context.Context, db querier, cluster string) error {
	var owner string
	if err := db.QueryRowContext(ctx, "SELECT cluster_id FROM tombola_cluster").Scan(&owner); err != nil {
		return fmt.Errorf("read tombola_cluster: %w", err)
	}
	if owner != cluster {
		return fmt.Errorf("%w: it is of %q, this node of %q", ErrForeignCluster, owner, cluster)
	}
	return nil
}
