package process

// watch is one observer of a process, in the list of the process observed. Its links are guarded by that process's mu.
type watch struct {
	target     *Process
	prev, next *watch
	listed     bool
	fn         func(reason error)
}

// fire tells the observer. The watch has left the list before.
func (w *watch) fire(reason error) { w.fn(reason) }

// addWatch puts w into the list, and reports whether the process was alive.
func (p *Process) addWatch(w *watch) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return false
	}
	w.target, w.next, w.listed = p, p.watchers, true
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

// Watch calls fn once, with the exit reason, when the local process ends, or at once with ErrNoProcess when there is no
// such process. fn runs on whatever goroutine ended the process: it must be quick and must not block. After cancel has
// returned fn is not started any more. It is for layers built on processes; a process monitors others instead.
func (r *Runtime) Watch(local PID, fn func(reason error)) (cancel func()) {
	p := r.find(local)
	w := &watch{fn: fn}
	if p == nil || !p.addWatch(w) {
		fn(ErrNoProcess)
		return func() {}
	}
	return func() { p.removeWatch(w) }
}
