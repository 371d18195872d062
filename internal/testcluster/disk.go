package testcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Disk is an ext4 file system in a file, which can be frozen as a disk that
// hangs. Whoever writes to it then waits in the kernel and can't be killed, so
// it must be thawed before what uses it is waited for.
type Disk struct {
	Dir string // where it is mounted

	image  string
	mu     sync.Mutex
	frozen bool
}

// NewDisk makes one of the given size in the file image, which it creates, and
// mounts it at dir until the test ends. Tests call it before they start what
// uses it, which thus ends first. Where there are no loop devices, or they may
// not be used, it skips the test.
func NewDisk(t testing.TB, image, dir string, bytes int64) *Disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a file system has to be mounted, which takes root")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip("a file system has to be mounted, and there are no loop devices here")
	}
	if err := errors.Join(os.MkdirAll(dir, 0o750), os.MkdirAll(filepath.Dir(image), 0o750)); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Truncate(bytes), file.Close()); err != nil {
		t.Fatal(err)
	}
	if err := command("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1", image); err != nil {
		t.Fatal(err)
	}
	d := &Disk{Dir: dir, image: image}
	if err := d.Mount(); err != nil {
		t.Skipf("a file system has to be mounted through a loop device: %v", err)
	}
	guard, err := unmountAtEnd(dir)
	if err != nil {
		t.Fatal(errors.Join(err, d.Unmount()))
	}
	t.Cleanup(func() {
		if err := errors.Join(d.Thaw(), d.Unmount()); err != nil {
			t.Errorf("testcluster: %v", err)
		}
		_ = guard.Close() // which leaves nothing to it
	})
	return d
}

// unmountAtEnd has a shell thaw and unmount dir once what it returns is closed,
// by the caller or by the end of this process: a disk that stays frozen could
// be unmounted by nobody who doesn't know of it.
func unmountAtEnd(dir string) (io.Closer, error) {
	cmd := exec.Command("sh", "-c", `read -r _; fsfreeze --unfreeze "$1"; umount -l "$1"`, "sh", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the tests
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return life, cmd.Start()
}

// Mount mounts the disk again after Unmount.
func (d *Disk) Mount() error {
	// Nothing is written in the background, so that an image on a disk that is
	// full stays as small as what is in it.
	return command("mount", "-o", "loop,noinit_itable", d.image, d.Dir)
}

// Unmount takes the disk away; nobody may use it any more.
func (d *Disk) Unmount() error { return command("umount", d.Dir) }

// Repair does what an operator does after the disk had errors. It is for a
// disk that is not mounted.
func (d *Disk) Repair() error {
	err := command("e2fsck", "-f", "-y", d.image)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil // it found something and mended it
	}
	return err
}

// Freeze makes every write wait until Thaw, or until the test ends: ahead of
// what was started before, which could not end otherwise.
func (d *Disk) Freeze(t testing.TB) error {
	t.Cleanup(func() {
		if err := d.Thaw(); err != nil {
			t.Errorf("testcluster: %v", err)
		}
	})
	return d.freeze()
}

// Stutter makes the disk slow: for as long as ctx lasts it hangs for hang, and
// works for work.
func (d *Disk) Stutter(ctx context.Context, t testing.TB, hang, work time.Duration) error {
	for ctx.Err() == nil {
		if err := d.Freeze(t); err != nil {
			return err
		}
		<-time.After(hang)
		if err := d.Thaw(); err != nil {
			return err
		}
		<-time.After(work)
	}
	return nil
}

func (d *Disk) freeze() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.frozen {
		return nil
	}
	d.frozen = true // to be thawed in any case
	return command("fsfreeze", "--freeze", d.Dir)
}

// Thaw lets writes go on. It does nothing to a disk that is not frozen.
func (d *Disk) Thaw() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.frozen {
		return nil
	}
	d.frozen = false
	return command("fsfreeze", "--unfreeze", d.Dir)
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("testcluster: %s %v: %w: %s", name, args, err, out)
	}
	return nil
}
