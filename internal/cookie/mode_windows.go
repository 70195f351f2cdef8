package cookie

import (
	"fmt"
	"io/fs"
)

// checkMode refuses what is not a plain file. Windows keeps its access rules outside the mode: the user's own folder,
// where the file lies by default, is closed to other users.
func checkMode(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is not a plain file (mode %v)", ErrMode, path, info.Mode())
	}
	return nil
}
