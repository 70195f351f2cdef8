package process

import (
	"runtime"
	"sync/atomic"
)

// workers are the goroutines that run behaviours. One that has emptied a mailbox waits a while for the next, since
// waking a goroutine costs less than making one; but only a few do, however many processes there are.
type workers struct {
	idle    chan *Process
	waiting atomic.Int32
	most    int32
	closed  atomic.Bool
}

func (w *workers) init() {
	w.idle = make(chan *Process)
	w.most = int32(4 * runtime.GOMAXPROCS(0))
}

// start has a worker run the process, whose running flag the caller has set.
func (w *workers) start(p *Process) {
	select {
	case w.idle <- p:
	default:
		go w.run(p)
	}
}

func (w *workers) run(p *Process) {
	for p != nil {
		p.work(false)
		p = w.next()
	}
}

// next waits for more work. It returns nil when the worker is to end.
func (w *workers) next() *Process {
	defer w.waiting.Add(-1)
	if w.waiting.Add(1) > w.most || w.closed.Load() {
		return nil
	}
	return <-w.idle
}

// close ends the workers that wait; the others end when they have emptied their mailboxes. A worker that has looked at
// closed before it was set will be at its receive in a moment, so this waits for it.
func (w *workers) close() {
	w.closed.Store(true)
	for w.waiting.Load() > 0 {
		select {
		case w.idle <- nil:
		default:
			runtime.Gosched()
		}
	}
}
