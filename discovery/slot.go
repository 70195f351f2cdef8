package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// slot is the pair of files of one node name: the lock, held for the life of its process, and the entry. Only who
// holds the exclusive lock changes or removes files of the slot, the lock file included; the lock counts only while
// the locked file is the one at its path.
type slot struct {
	dir, key string
}

func (s slot) lockPath() string  { return filepath.Join(s.dir, s.key+lockSuffix) }
func (s slot) entryPath() string { return filepath.Join(s.dir, s.key+entrySuffix) }
func (s slot) tempPath() string  { return filepath.Join(s.dir, s.key+tempSuffix) }

// acquire opens the lock file, makes it if need be, and takes the exclusive lock without waiting. It returns nil when
// somebody else has it, be it for the moment of a probe.
func (s slot) acquire() (*os.File, error) {
	for {
		f, err := os.OpenFile(s.lockPath(), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		ok, err := tryLock(f, true)
		if err == nil && ok {
			var same bool
			if same, err = s.current(f); same {
				return f, nil
			}
		}
		_ = f.Close()
		if err != nil || !ok {
			return nil, err
		}
	}
}

// current says whether f is still the file at the lock's path.
func (s slot) current(f *os.File) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(s.lockPath())
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}

// probe says whether a living process holds the slot, and clears the slot if none does.
func (s slot) probe() (alive bool, err error) {
	f, err := os.OpenFile(s.lockPath(), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, s.sweep()
	}
	if err != nil {
		return false, err
	}
	// The shared lock is refused only while an exclusive one is held, so that two that probe at the same time do not
	// take each other for the owner.
	free, err := tryLock(f, false)
	if free {
		err = unlock(f)
	}
	_ = f.Close()
	if err != nil {
		return false, err
	}
	if free {
		return false, s.sweep()
	}
	return true, nil
}

// sweep removes what is left of a dead owner. It gives way to everybody else.
func (s slot) sweep() error {
	if !s.exists() {
		return nil
	}
	f, err := s.acquire()
	if err != nil || f == nil {
		return err
	}
	return s.clear(f)
}

// exists says whether any file of the slot is there.
func (s slot) exists() bool {
	for _, p := range []string{s.lockPath(), s.entryPath(), s.tempPath()} {
		if _, err := os.Lstat(p); err == nil {
			return true
		}
	}
	return false
}

// clear removes the files of the slot, whose exclusive lock f is, and frees the lock.
func (s slot) clear(f *os.File) error {
	return errors.Join(s.removeEntry(), removeLocked(f, s.lockPath()))
}

// removeEntry removes the entry and what an interrupted write of it left.
func (s slot) removeEntry() error {
	var errs []error
	for _, p := range []string{s.entryPath(), s.tempPath()} {
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// read reads the entry.
func (s slot) read() (Entry, error) {
	data, err := os.ReadFile(s.entryPath())
	if err != nil {
		return Entry{}, err
	}
	var e Entry
	if err := json.Unmarshal(data, &e); err != nil {
		return Entry{}, fmt.Errorf("%s: %w", s.entryPath(), err)
	}
	return e, nil
}

// write replaces the entry in one step. Only the owner calls it, so that one name for the half-written file is enough.
func (s slot) write(e Entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.tempPath(), append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(s.tempPath(), s.entryPath())
}
