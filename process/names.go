package process

import (
	"fmt"
	"sync"
)

// MaxName is the greatest length of a registered name, in bytes.
const MaxName = 255

// names are the local names: one name per process, one process per name.
type names struct {
	mu     sync.RWMutex // guards the fields below
	byName map[string]*Process
}

func (n *names) init() { n.byName = make(map[string]*Process) }

func (n *names) get(name string) *Process {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.byName[name]
}

// Register gives a local process a name, under which this node and others can send to it (SEND-01, SEND-07). A process
// has at most one name, and gives it up when it ends. Errors: ErrNameTaken (a *NameTakenError), ErrHasName, ErrBadName,
// ErrNotLocal, ErrNoProcess.
func (r *Runtime) Register(name string, pid PID) error {
	if name == "" || name == "undefined" || len(name) > MaxName {
		return fmt.Errorf("%w: %q", ErrBadName, name)
	}
	if !r.local(pid) {
		return fmt.Errorf("%w: %v", ErrNotLocal, pid)
	}
	p := r.procs.get(pid.ID)
	if p == nil {
		return fmt.Errorf("%w: %v", ErrNoProcess, pid)
	}
	r.names.mu.Lock()
	defer r.names.mu.Unlock()
	if holder := r.names.byName[name]; holder != nil {
		return &NameTakenError{Name: name, Holder: holder.PID()}
	}
	p.mu.Lock() // lock order: names, then process
	defer p.mu.Unlock()
	switch {
	case p.dead:
		return fmt.Errorf("%w: %v", ErrNoProcess, pid)
	case p.name != "":
		return fmt.Errorf("%w: %q", ErrHasName, p.name)
	}
	p.name = name
	r.names.byName[name] = p
	return nil
}

// Unregister takes the name away. It reports whether there was one. Messages that were sent to the name before may
// still arrive (SEND-06).
func (r *Runtime) Unregister(name string) bool {
	r.names.mu.Lock()
	defer r.names.mu.Unlock()
	p := r.names.byName[name]
	if p == nil {
		return false
	}
	delete(r.names.byName, name)
	p.mu.Lock()
	p.name = ""
	p.mu.Unlock()
	return true
}

// release frees the name of a process that has died.
func (n *names) release(name string, p *Process) {
	n.mu.Lock()
	if n.byName[name] == p {
		delete(n.byName, name)
	}
	n.mu.Unlock()
}

// Whereis is the local process that has the name.
func (r *Runtime) Whereis(name string) (PID, bool) {
	p := r.names.get(name)
	if p == nil {
		return PID{}, false
	}
	return p.PID(), true
}
