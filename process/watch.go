package process

// watch is one observer of a process, in the list of the process observed. Adding and removing take the same time
// however many there are, and leave nothing behind.
type watch struct {
	sink   watcher
	target *Process // set before the watch is known to others

	// The fields below are guarded by the target's mu.
	next, prev *watch
	listed     bool
}

// watcher is told, once, when the process ends.
type watcher interface {
	targetDown(reason error)
}

// addWatch puts w into the list, unless the process has ended or, by valid, the watch has been given up meanwhile. It
// reports whether the process was alive.
func (p *Process) addWatch(w *watch, valid func() bool) (alive bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return false
	}
	if valid != nil && !valid() {
		return true
	}
	w.listed = true
	w.next = p.watchers
	if w.next != nil {
		w.next.prev = w
	}
	p.watchers = w
	return true
}

// removeWatch takes w out of the list, and reports whether it was there.
func (p *Process) removeWatch(w *watch) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !w.listed {
		return false
	}
	w.listed = false
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		p.watchers = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	return true
}

// takeWatchers empties the list, and returns the watches in the order in which they were added. mu is held.
func (p *Process) takeWatchers() *watch {
	var first *watch
	for w := p.watchers; w != nil; {
		next := w.next
		w.next, w.listed = first, false
		first, w = w, next
	}
	p.watchers = nil
	return first
}

// watchFunc is a function as a watcher.
type watchFunc func(reason error)

func (f watchFunc) targetDown(reason error) { f(reason) }

// Watch calls fn once, with the exit reason, when the local process ends, or at once with ErrNoProcess when there is no
// such process on this node. fn runs on whatever goroutine ended the process: it must be quick and must not block.
// After cancel has returned, fn is not started any more. It is the cheap form of Monitor for layers on processes that
// watch their own node.
func (r *Runtime) Watch(local PID, fn func(reason error)) (cancel func()) {
	p := r.find(local)
	w := &watch{sink: watchFunc(fn), target: p}
	if p == nil || !p.addWatch(w, nil) {
		fn(ErrNoProcess)
		return func() {}
	}
	return func() { p.removeWatch(w) }
}
