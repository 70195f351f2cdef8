package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Entry is what a node of this host says about itself in the data dir.
type Entry struct {
	// Name is the node's full name and Incarnation its present life.
	Name        string
	Incarnation uint64
	// Addr is HOST:PORT of its cluster listener.
	Addr string
	// PID is its process id, for people to read: liveness is decided by the lock, never by a process id.
	PID int
	// Hidden says that it is a hidden node.
	Hidden bool
	// Started is when it started, by its own clock.
	Started time.Time
	// Draining says that it is about to leave: it is listed, and offered to nobody.
	Draining bool
}

// entryJSON is an Entry as it lies in the file.
type entryJSON struct {
	Name        string    `json:"name"`
	Incarnation string    `json:"incarnation"`
	Addr        string    `json:"addr"`
	PID         int       `json:"pid"`
	Hidden      bool      `json:"hidden,omitempty"`
	Started     time.Time `json:"started"`
	Draining    bool      `json:"draining,omitempty"`
}

// MarshalJSON writes the entry with its incarnation in hexadecimal, since JSON numbers lose the low bits of one.
func (e Entry) MarshalJSON() ([]byte, error) {
	return json.Marshal(entryJSON{
		Name: e.Name, Incarnation: fmt.Sprintf("%016x", e.Incarnation), Addr: e.Addr, PID: e.PID,
		Hidden: e.Hidden, Started: e.Started, Draining: e.Draining,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Entry) UnmarshalJSON(data []byte) error {
	var j entryJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	inc, err := strconv.ParseUint(j.Incarnation, 16, 64)
	if err != nil {
		return fmt.Errorf("incarnation: %w", err)
	}
	*e = Entry{
		Name: j.Name, Incarnation: inc, Addr: j.Addr, PID: j.PID, Hidden: j.Hidden, Started: j.Started, Draining: j.Draining,
	}
	return nil
}

// List returns the entries of the living nodes of mesh that share dataDir, sorted by name, hidden ones included. On
// its way it removes what dead processes left behind. A data dir that does not exist is an empty one. With an error come the
// entries that could be read all the same. List never waits for another process and may be called concurrently, also by
// programs that run no node.
func List(dataDir, mesh string) ([]Entry, error) {
	dir := meshDir(dataDir, mesh)
	files, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	seen := make(map[string]bool, len(files)/2+1)
	var entries []Entry
	var errs []error
	for _, f := range files {
		key, ext := splitFile(f.Name())
		if ext == "" || seen[key] {
			continue
		}
		seen[key] = true
		slot := slot{dir: dir, key: key}
		alive, err := slot.probe()
		if err != nil {
			errs = append(errs, fmt.Errorf("list nodes: %w", err))
		}
		if !alive {
			continue
		}
		// A living node without an entry, or with half of one, has not published yet.
		if e, err := slot.read(); err == nil {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, errors.Join(errs...)
}

// Suffixes of the files that a node has in the mesh's folder.
const (
	lockSuffix  = ".lock"
	entrySuffix = ".json"
	tempSuffix  = ".temp"
)

// meshDir is the folder of one mesh's nodes.
func meshDir(dataDir, mesh string) string {
	return filepath.Join(dataDir, "nodes", fileKey(mesh))
}

// splitFile splits a file name of the mesh's folder into a key and a suffix; the suffix is empty for foreign files.
func splitFile(name string) (key, ext string) {
	for _, s := range []string{lockSuffix, entrySuffix, tempSuffix} {
		if key, ok := strings.CutSuffix(name, s); ok && key != "" {
			return key, s
		}
	}
	return "", ""
}
