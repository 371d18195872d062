package membership

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile replaces name in dir with v as JSON. The file is whole or the old
// one at every moment, and on disk when writeFile returns. One caller at a
// time may write a name.
func writeFile(dir, name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	target := filepath.Join(dir, name)
	draft := target + ".new"
	if err := writeSynced(draft, append(text, '\n')); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(draft)))
	}
	if err := os.Rename(draft, target); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(draft)))
	}
	return syncDir(dir)
}

// writeSynced writes a file that only this user may read: both files hold
// secrets.
func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readFile reads what writeFile wrote. A file that does not exist is an error
// that wraps fs.ErrNotExist; one with unknown fields or anything after its
// value was not written by this version and is refused.
func readFile(dir, name string, v any) error {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: something follows its value", filepath.Join(dir, name))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
