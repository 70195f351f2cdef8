package rpc

import "sync"

// maxIdleWorkers is how many goroutines are kept for the next requests. More may run; those end when they are done.
const maxIdleWorkers = 256

// workers runs requests on goroutines that are kept for the next one: the last to become idle is the first to work
// again, so that few stacks stay warm and large. Its methods may be called concurrently; none blocks.
type workers struct {
	mu     sync.Mutex // guards the fields below
	idle   []*worker
	closed bool
}

type worker struct{ next chan *serving }

// run hands sv to an idle goroutine, or to a new one.
func (p *workers) run(sv *serving) {
	p.mu.Lock()
	if n := len(p.idle) - 1; n >= 0 {
		w := p.idle[n]
		p.idle[n] = nil
		p.idle = p.idle[:n]
		p.mu.Unlock()
		w.next <- sv // has room for one, and an idle worker has none
		return
	}
	p.mu.Unlock()
	go p.work(&worker{next: make(chan *serving, 1)}, sv)
}

// work serves sv, and then what it is handed, until there are enough idle workers or the pool is closed.
func (p *workers) work(w *worker, sv *serving) {
	for ok := true; ok; {
		sv.run()
		if !p.park(w) {
			return
		}
		sv, ok = <-w.next
	}
}

func (p *workers) park(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdleWorkers {
		return false
	}
	p.idle = append(p.idle, w)
	return true
}

// close ends the idle workers now and the busy ones when they are done.
func (p *workers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, w := range p.idle {
		close(w.next)
	}
	p.idle = nil
}
