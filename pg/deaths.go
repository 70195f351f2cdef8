package pg

import (
	"github.com/kith-mesh/kith/internal/queue"
)

// deaths collects the ends of processes. They are noticed on goroutines that must not wait, and dealt with on one
// that may take the scopes' locks.
type deaths struct {
	queue *queue.Queue[death]
}

// death is the end of a member of a scope, or of the owner of a monitor. What bounds the queue is the number of
// processes that have joined and of monitors.
type death struct {
	scope   *Scope
	id      uint64
	monitor *Monitor
}

func (d *deaths) init() { d.queue = queue.New[death]() }

func (d *deaths) add(s *Scope, id uint64) { d.queue.Push(death{scope: s, id: id}) }

func (d *deaths) orphan(m *Monitor) { d.queue.Push(death{monitor: m}) }

// bury deals with deaths until the groups end.
func (g *Groups) bury() {
	var taken []death
	for {
		select {
		case <-g.deaths.queue.Wake():
		case <-g.ctx.Done():
			return
		}
		taken = g.deaths.queue.Take(taken)
		for batch := taken; len(batch) > 0; {
			if m := batch[0].monitor; m != nil {
				m.Close()
				batch = batch[1:]
				continue
			}
			n := 1
			for n < len(batch) && n < buryAtOnce && batch[n].scope == batch[0].scope {
				n++
			}
			batch[0].scope.exits(batch[:n])
			batch = batch[n:]
		}
	}
}

// buryAtOnce bounds how long a scope is locked for processes that end together.
const buryAtOnce = 256

// exits takes ended processes out of all their groups (PG-10). Their changes travel together.
func (s *Scope) exits(dead []death) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	head := len(appendHeader(s.buf[:0], kindUpdate, s.name))
	s.buf = appendHeader(s.buf[:0], kindUpdate, s.name)
	for _, d := range dead {
		delete(s.watches, d.id)
		for _, c := range s.table.exit(d.id) {
			s.vacated(c.key)
			if len(c.ids) <= chunkIDs {
				s.buf = appendLeave(s.buf, c.key, c.ids)
			}
			if len(s.buf) > chunkBytes || len(c.ids) > chunkIDs {
				s.postAll(s.buf)
				s.buf = s.buf[:head]
			}
			if len(c.ids) > chunkIDs {
				s.tellAll(c.key) // one change, however often it had joined
			}
			s.notify(&c, "")
		}
	}
	if len(s.buf) > head {
		s.postAll(s.buf)
	}
}
