package discovery

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/kith-mesh/kith/discovery/internal/pace"
)

const (
	// localPoll is how often the folder is read where the system announces no changes.
	localPoll = 2 * time.Second
	// localSweep is how often it is read where the system does: dead processes announce nothing.
	localSweep = 10 * time.Second
	// localSettle is how long a change may be followed by others before the folder is read, so that fifty nodes that
	// start at once cost few readings.
	localSettle = 5 * time.Millisecond
)

// LocalStrategy finds the nodes of this host that share a data dir, with no daemon and no fixed port. Each node holds
// a lock in the folder nodes/MESH for as long as its process lives and keeps an entry with its address beside it: a
// node is alive exactly while its lock cannot be taken, so that neither a killed process nor a process id used again
// misleads anybody. Make one with [Local].
type LocalStrategy struct {
	dataDir string
	// poll and sweep are replaced by tests.
	poll, sweep time.Duration
}

// Local is the strategy of the nodes that share dataDir. New nodes are seen within milliseconds where the system
// announces changes of a folder, else within 2 s. Dead ones leave the list within 10 s, or 2 s where the folder is polled;
// nodes do not learn of a peer's end from it.
func Local(dataDir string) *LocalStrategy {
	return &LocalStrategy{dataDir: dataDir, poll: localPoll, sweep: localSweep}
}

// Name is "local".
func (l *LocalStrategy) Name() string { return "local" }

// Run reports the other living nodes of the mesh, hidden ones marked as such. See [Strategy].
func (l *LocalStrategy) Run(ctx context.Context, self Self, found func([]Candidate), fail func(error)) error {
	if l.dataDir == "" {
		return fmt.Errorf("%w: local: no data dir", ErrBadConfig)
	}
	w := watchFolder(meshDir(l.dataDir, self.Mesh))
	defer w.close()
	pause := pace.Backoff{Base: l.poll, Limit: l.sweep} // nobody else is asked: there is no need to spare him
	reporter := NewReporter(self, found)
	var last []Candidate
	for {
		wait := pace.Jitter(l.poll)
		if w.renew() {
			wait = pace.Jitter(l.sweep)
		}
		entries, err := List(l.dataDir, self.Mesh)
		list := localCandidates(entries)
		if err != nil {
			fail(fmt.Errorf("local: %w", err))
			wait = pause.Next()
			list = stillKnown(list, last)
		} else {
			pause.Reset()
		}
		last = list
		reporter.Report(list)
		if !w.wait(ctx, wait) {
			return nil
		}
	}
}

// stillKnown adds to what could be read the nodes that were there before: where a folder or a file cannot be read for a
// moment, as without descriptors, nobody has gone. What could be read counts, since one bad file must not hide the others.
func stillKnown(read, before []Candidate) []Candidate {
	for _, c := range before {
		if !slices.ContainsFunc(read, func(r Candidate) bool { return r.Name == c.Name }) {
			read = append(read, c)
		}
	}
	slices.SortFunc(read, func(a, b Candidate) int { return cmp.Compare(a.Name, b.Name) })
	return read
}

// localCandidates turns entries into candidates, without those that have no address, or are about to leave.
func localCandidates(entries []Entry) []Candidate {
	list := make([]Candidate, 0, len(entries))
	for _, e := range entries {
		if e.Addr == "" || e.Draining {
			continue
		}
		list = append(list, Candidate{
			Addr: e.Addr, Name: e.Name, Incarnation: e.Incarnation, Source: "local", Hidden: e.Hidden,
			Started: e.Started.UTC(), // comparable
		})
	}
	return list
}

// folder waits for changes of entries in a folder. Without the system's help (no inotify left, for one) it only waits
// for its timer.
type folder struct {
	dir     string
	watcher *fsnotify.Watcher // nil if there is none
}

func watchFolder(dir string) *folder {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return &folder{dir: dir}
	}
	return &folder{dir: dir, watcher: w}
}

// renew watches the folder at its path, also when it was removed and made again since. It says whether it can.
func (f *folder) renew() bool {
	if f.watcher == nil {
		return false
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return false // the reading that follows reports it
	}
	return f.watcher.Add(f.dir) == nil
}

// wait returns true when an entry changed or d has passed, and false when ctx ended.
func (f *folder) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	var events <-chan fsnotify.Event
	var errs <-chan error
	if f.watcher != nil {
		events, errs = f.watcher.Events, f.watcher.Errors
	}
	settling := false
	for {
		changed := false
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case ev := <-events:
			const ops = fsnotify.Create | fsnotify.Remove | fsnotify.Rename
			changed = ev.Op&ops != 0 && (filepath.Ext(ev.Name) == entrySuffix || ev.Name == f.dir)
		case <-errs:
			changed = true // the queue overflowed, so something was missed
		}
		if changed && !settling {
			settling = true
			timer.Reset(localSettle)
		}
	}
}

func (f *folder) close() {
	if f.watcher != nil {
		_ = f.watcher.Close()
	}
}
