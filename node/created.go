package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrLogLost is wrapped when a group that this server has kept before has no
// log here any more. Started empty under its old name, the server could vote
// away what it had acknowledged.
var ErrLogLost = errors.New("the group's log is gone: give this server a new, empty data directory")

// checkLog refuses a group whose mark says that there was a log when there is
// none.
func checkLog(mark, logDir string) error {
	if _, err := os.Stat(mark); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	files, err := os.ReadDir(logDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("node: %w", err)
	}
	if len(files) == 0 {
		return fmt.Errorf("node: %s: %w", logDir, ErrLogLost)
	}
	return nil
}

// markCreated remembers on the disk that a group has a log.
func markCreated(mark string) error {
	file, err := os.OpenFile(mark, os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	err = errors.Join(file.Sync(), file.Close())
	if parent, openErr := os.Open(filepath.Dir(mark)); openErr == nil {
		err = errors.Join(err, parent.Sync(), parent.Close())
	}
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	return nil
}
