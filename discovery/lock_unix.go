//go:build unix

package discovery

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes the lock of f without waiting: the only one if exclusive, else one that others may share. It reports
// whether it got it. The lock belongs to the open file, not to the process: two opens in one process exclude each
// other, and the kernel frees it however the process ends.
func tryLock(f *os.File, exclusive bool) (bool, error) {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		default:
			return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
}

// unlock frees the lock of f at once, even while a child that is just being started still shares the open file.
func unlock(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_UN)
}

// removeLocked removes the file at path, whose lock f holds, and frees the lock. The file goes first: whoever opened
// it before notices, once it has the lock, that it is no longer the one at path.
func removeLocked(f *os.File, path string) error {
	err := os.Remove(path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
