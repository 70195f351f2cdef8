package discovery

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// reservePatience is how long Reserve tries again before it believes that a lock is held for good: a probe or a sweep of
// another process holds it for microseconds.
const reservePatience = 200 * time.Millisecond

// probePatience is how long it tries while the lock names no owner, so that only probes can hold it: where fifty nodes
// start at once on a busy machine, one that probes may be kept from the processor for longer than reservePatience.
const probePatience = 5 * time.Second

// Reservation is a node's hold on its name on this host. It lasts until Release or the end of the process, whichever
// way that comes. Its methods may be called concurrently. Keep it reachable: a reservation that is garbage-collected is
// released.
type Reservation struct {
	slot slot
	name string

	mu   sync.Mutex // guards the fields below
	lock *os.File   // nil after Release
}

// Reserve takes name in mesh for this process, among the processes that share the data dir, and clears what a dead
// process of that name left. It fails with [ErrNameInUse], which says who has it, while a living process holds the
// name; it may take up to 0.2 s to be sure of that, and up to 5 s where nobody says that the name is theirs. It makes the
// folders it needs, with mode 0700.
func (l *LocalStrategy) Reserve(mesh, name string) (*Reservation, error) {
	s := slot{dir: meshDir(l.dataDir, mesh), key: fileKey(name)}
	begin := time.Now()
	for {
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return nil, fmt.Errorf("reserve %s: %w", name, err)
		}
		f, err := s.acquire()
		if err != nil {
			return nil, fmt.Errorf("reserve %s: %w", name, err)
		}
		if f != nil {
			return newReservation(s, name, f)
		}
		if waited := time.Since(begin); waited > reservePatience {
			if _, owned := s.owner(); owned || waited > probePatience {
				return nil, inUse(s, name)
			}
		}
		time.Sleep(time.Millisecond + rand.N(10*time.Millisecond))
	}
}

// newReservation makes f's slot this process's own.
func newReservation(s slot, name string, f *os.File) (*Reservation, error) {
	err := s.removeEntry()
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		_ = s.clear(f)
		return nil, fmt.Errorf("reserve %s: %w", name, err)
	}
	return &Reservation{slot: s, name: name, lock: f}, nil
}

// inUse is the error for a name that a living process has, with that process's id if it can be read.
func inUse(s slot, name string) error {
	pid, owned := s.owner()
	if !owned {
		return fmt.Errorf("%w: %s", ErrNameInUse, name)
	}
	return fmt.Errorf("%w: %s is held by process %d", ErrNameInUse, name, pid)
}

// owner is the process that the lock names, if it names one.
func (s slot) owner() (pid int, ok bool) {
	data, err := os.ReadFile(s.lockPath())
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
	return pid, err == nil
}

// Publish writes or replaces the node's entry in one step, so that others find it. e.Name must be the reserved name.
// After Release it returns [ErrReleased].
func (r *Reservation) Publish(e Entry) error {
	if e.Name != r.name {
		return fmt.Errorf("%w: publish %q with the reservation of %q", ErrBadConfig, e.Name, r.name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lock == nil {
		return fmt.Errorf("%w: %s", ErrReleased, r.name)
	}
	if err := r.slot.write(e); err != nil {
		return fmt.Errorf("publish %s: %w", r.name, err)
	}
	return nil
}

// Release removes the entry and gives the name back. Further calls do nothing and return nil.
func (r *Reservation) Release() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lock == nil {
		return nil
	}
	f := r.lock
	r.lock = nil
	if err := r.slot.clear(f); err != nil {
		return fmt.Errorf("release %s: %w", r.name, err)
	}
	return nil
}
