package persist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Checkpoint returns the sequence of the stream's last event in the sink, 0
// where there is none. It makes the stream's checkpoint row where missing, and
// the tables too: a schema may have been dropped and created again under a
// running node. It returns ErrForeignCluster where the schema has become
// another cluster's.
func (s *Store) Checkpoint(ctx context.Context, stream uint16) (uint64, error) {
	err := checkOwner(ctx, s.read, s.cluster)
	if s.again != nil && (errors.Is(err, sql.ErrNoRows) || s.dialect.missing(err)) {
		s.log.Warn("the sink's tables are gone and are made again")
		err = s.again(ctx)
	}
	var last uint64
	if err == nil {
		last, err = s.checkpoint(ctx, stream)
	}
	if err != nil {
		return 0, fmt.Errorf("persist: checkpoint of stream %d: %w", stream, s.leave(err))
	}
	return last, nil
}

func (s *Store) checkpoint(ctx context.Context, stream uint16) (uint64, error) {
	last, err := checkpoint(ctx, s.read, stream)
	if !errors.Is(err, sql.ErrNoRows) {
		return last, err
	}
	if err := s.dialect.redo(ctx, s.log, func() error { return s.createCheckpoint(ctx, stream) }); err != nil {
		return 0, err
	}
	return checkpoint(ctx, s.read, stream)
}

// createCheckpoint makes a stream's row at 0, unless somebody was faster.
func (s *Store) createCheckpoint(ctx context.Context, stream uint16) error {
	_, err := s.write.ExecContext(ctx, "INSERT INTO sink_checkpoint (stream, last_seq) VALUES (?, 0)", stream)
	if err != nil && !s.dialect.duplicate(err) {
		return fmt.Errorf("create checkpoint: %w", err)
	}
	return nil
}

// leave gives up the idle connections to a server that a failover has made a
// read-only replica: new ones may reach the one that takes writes. The driver
// can do that by itself, but hides what the server said. It returns err.
func (s *Store) leave(err error) error {
	if err != nil && s.dialect.readOnly(err) {
		for _, db := range []*sql.DB{s.write, s.read} {
			db.SetMaxIdleConns(-1)
			db.SetMaxIdleConns(writeConns)
		}
	}
	return err
}
