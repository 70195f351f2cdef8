//go:build unix

package cookie

import (
	"fmt"
	"io/fs"
)

// checkMode refuses a file that is not a plain one, or that its group or others may touch.
func checkMode(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is not a plain file (mode %v)", ErrMode, path, info.Mode())
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("%w: %s has mode %04o, want 0600 (chmod 600 %s)", ErrMode, path, perm, path)
	}
	return nil
}
