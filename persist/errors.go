package persist

import (
	"errors"
	"fmt"
)

// ErrForeignCluster is returned by Open, Checkpoint and Write where the database
// belongs to another cluster. Nothing was changed in it.
var ErrForeignCluster = errors.New("the database belongs to another cluster")

// ErrFenced is wrapped by FencedError.
var ErrFenced = errors.New("the checkpoint is not where this batch starts")

// ErrBatch is returned by Write for rows that can't be a piece of a stream's
// history (a gap, an id too long). Nothing was written and writing them again
// fails again.
var ErrBatch = errors.New("not a valid batch")

// ErrDuplicate is returned by Write where the send log holds one of the batch's
// grants although the checkpoint says otherwise. Nothing was written. It means
// that somebody else changed the database: stop the stream and raise an alarm.
var ErrDuplicate = errors.New("the send log holds a grant of this batch already")

// ErrVoid is returned by Write where a void names a grant that the send log
// does not hold, or holds as voided. Nothing was written. It is as alarming as
// ErrDuplicate.
var ErrVoid = errors.New("a void names a grant that is missing or was voided before")

// ErrNotFound is returned by Grant.
var ErrNotFound = errors.New("no such grant")

// FencedError says where Write found a stream's checkpoint instead of where the
// batch starts. It wraps ErrFenced. Nothing of the batch was written by this
// call. Found at the batch's last sequence means that an earlier call whose
// reply was lost has written it, or another writer the same events.
type FencedError struct {
	Stream uint16
	Want   uint64 // what the batch follows
	Found  uint64 // where the checkpoint is
}

// Error implements error.
func (e *FencedError) Error() string {
	return fmt.Sprintf("stream %d: %v: want %d, found %d", e.Stream, ErrFenced, e.Want, e.Found)
}

// Unwrap returns ErrFenced.
func (e *FencedError) Unwrap() error { return ErrFenced }
