package discovery

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockOffset is where the locked byte lies: far behind the content, since Windows refuses others to read what is locked.
const lockOffset = 1 << 30

// tryLock takes the lock of f without waiting: the only one if exclusive, else one that others may share. It reports
// whether it got it. The lock belongs to the open file, and the system frees it however the process ends.
func tryLock(f *os.File, exclusive bool) (bool, error) {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if exclusive {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	at := windows.Overlapped{Offset: lockOffset}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &at)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return false, nil
	}
	return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
}

// unlock frees the lock of f.
func unlock(f *os.File) error {
	at := windows.Overlapped{Offset: lockOffset}
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, &at)
}

// removeLocked frees the lock of f and removes the file at path. Windows does not remove a file that somebody has
// open, so that a file which another process is about to lock simply stays.
func removeLocked(f *os.File, path string) error {
	err := f.Close()
	if rerr := os.Remove(path); rerr != nil && !errors.Is(rerr, os.ErrNotExist) &&
		!errors.Is(rerr, windows.ERROR_SHARING_VIOLATION) {
		err = errors.Join(err, rerr)
	}
	return err
}
