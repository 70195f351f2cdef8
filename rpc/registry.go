package rpc

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// function is one registered function.
type function struct {
	name    string
	handler Handler
	limit   int64 // calls at once; 0: only the node's limit
	running atomic.Int64
}

// registry holds the functions by name. Reading takes no lock.
type registry struct {
	mu     sync.Mutex // serialises writers
	byName atomic.Pointer[map[string]*function]
}

// lookup finds a function; converting the key does not allocate.
func (r *registry) lookup(name []byte) *function {
	if m := r.byName.Load(); m != nil {
		return (*m)[string(name)]
	}
	return nil
}

func (r *registry) lookupString(name string) *function {
	if m := r.byName.Load(); m != nil {
		return (*m)[name]
	}
	return nil
}

func (r *registry) add(f *function) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.copy()
	if _, ok := next[f.name]; ok {
		return fmt.Errorf("%w: %q", ErrFunctionExists, f.name)
	}
	next[f.name] = f
	r.byName.Store(&next)
	return nil
}

func (r *registry) remove(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.copy()
	_, ok := next[name]
	delete(next, name)
	r.byName.Store(&next)
	return ok
}

func (r *registry) copy() map[string]*function {
	if m := r.byName.Load(); m != nil {
		return maps.Clone(*m)
	}
	return make(map[string]*function)
}

func (r *registry) names() []string {
	m := r.byName.Load()
	if m == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(*m))
}
