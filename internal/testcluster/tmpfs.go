package testcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// SmallDisk is a file system of its own, small enough to be filled.
type SmallDisk struct{ dir string }

// NewSmallDisk mounts one of the given size at dir, which is created, until the
// test ends. Where mounting is not allowed it skips the test.
func NewSmallDisk(t testing.TB, dir string, bytes int64) *SmallDisk {
	t.Helper()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skip("a small disk has to be mounted, which this user may not")
	}
	if err != nil {
		t.Fatalf("testcluster: mount %s: %v", dir, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("testcluster: unmount %s: %v", dir, err)
		}
	})
	return &SmallDisk{dir}
}

// Fill takes up space until about the given number of bytes are left. It may be
// called again to leave less.
func (d *SmallDisk) Fill(leave int64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &s); err != nil {
		return fmt.Errorf("testcluster: %w", err)
	}
	file, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("testcluster: %w", err)
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return fmt.Errorf("testcluster: %w", err)
	}
	take := int64(s.Bavail)*s.Bsize - leave
	if err := syscall.Fallocate(int(file.Fd()), 0, before.Size(), take); err != nil {
		return fmt.Errorf("testcluster: fill %s: %w", d.dir, err)
	}
	return nil
}

// Clear gives the space back that Fill has taken.
func (d *SmallDisk) Clear() error {
	if err := os.Remove(d.ballast()); err != nil {
		return fmt.Errorf("testcluster: %w", err)
	}
	return nil
}

func (d *SmallDisk) ballast() string { return filepath.Join(d.dir, "ballast") }
