package persist

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// dialect is all that differs between the databases.
type dialect struct {
	name string
	// claimable asks whether tombola_cluster exists.
	claimable string
	// addTotal and addDay end an INSERT of (prize_id, sent) and of
	// (prize_id, day, sent) so that sent is added to the row that exists.
	addTotal, addDay string
	// ofUser selects a user's rows of the send log by index: what follows
	// FROM, with the user as its one argument.
	ofUser string
	// sum computes the parts of a Sum; empty where the server can't.
	sum string
	// statementBytes is the most that one statement should hold.
	statementBytes int
	// text makes the driver send bytes in the type of the id columns.
	text func([]byte) any
	// passing tells errors after which the same transaction may succeed when
	// it is done again from its start.
	passing func(error) bool
	// duplicate tells violations of a primary key.
	duplicate func(error) bool
	// missing tells that a table does not exist.
	missing func(error) bool
	// readOnly tells that the server takes no writes.
	readOnly func(error) bool
}

// migrate brings the schema up to this binary's version. A schema that a newer
// binary has migrated further is left as it is: migrations must keep what the
// version before them reads and writes. The caller holds a lock against other
// nodes (goose's own does not cover the making of its version table).
func migrate(ctx context.Context, db *sql.DB, d dialect, log *slog.Logger) error {
	files, err := fs.Sub(migrations, "migrations/"+d.name)
	if err != nil {
		return err
	}
	kind := goose.DialectMySQL
	if d.name == DriverSQLite {
		kind = goose.DialectSQLite3
	}
	provider, err := goose.NewProvider(kind, db, files,
		goose.WithTableName("tombola_migration"),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(log))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, r := range results {
		log.Info("sink schema migrated", "version", r.Source.Version, "took", r.Duration)
	}
	return nil
}
