package process

import (
	"sync"

	"github.com/kith-mesh/kith/node"
)

// peers is what stands between this node and others: what must be answered when a session ends. A process's mu may be
// held when mu is taken, not the other way round.
type peers struct {
	mu     sync.Mutex // guards the fields below
	byName map[string]*peer
}

// peer is what stands between this node and one other. What this node began carries the connection id of the session
// it was begun in; while that is not known for certain it is zero, and the end of any session ends it.
type peer struct {
	conn     uint64 // of the session that is up, zero for none
	monitors shrinkMap[uint64, *Monitor]
	links    shrinkMap[linkKey, *linkEnd]
	requests shrinkMap[uint64, *request]
	watches  shrinkMap[uint64, *remoteWatch] // monitors of the peer, by its numbers, in the session that is up
}

type linkKey struct {
	local uint64
	peer  PID
}

// linkEnd is this node's end of a link to the peer.
type linkEnd struct {
	p    *Process
	peer PID
	conn uint64
}

// request waits for an answer of the peer.
type request struct {
	answer chan answer  // gets one answer, or is closed when the session ends
	first  func(answer) // called on the dispatcher before anything that comes behind the answer, or nil
	late   func(answer) // replaces first when nobody waits any more, or nil
	conn   uint64
}

type answer struct {
	frame
	peer node.Peer
}

// get is the peer's entry, made if need be. mu is held.
func (s *peers) get(name string) *peer {
	e := s.byName[name]
	if e == nil {
		if s.byName == nil {
			s.byName = make(map[string]*peer)
		}
		e = &peer{}
		s.byName[name] = e
	}
	return e
}

// tidy forgets an entry in which nothing is left. mu is held.
func (s *peers) tidy(name string) {
	e := s.byName[name]
	if e != nil && e.conn == 0 && len(e.monitors.m)+len(e.links.m)+len(e.requests.m)+len(e.watches.m) == 0 {
		delete(s.byName, name)
	}
}

// up notes the session of a peer.
func (s *peers) up(p node.Peer) {
	s.mu.Lock()
	s.get(p.Name).conn = p.Conn
	s.mu.Unlock()
}

// lost is what ended with a session.
type lost struct {
	monitors []*Monitor
	links    []*linkEnd
	requests []*request
	watches  []*remoteWatch
}

// down takes out what ends with the session.
func (s *peers) down(p node.Peer) lost {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.get(p.Name)
	if e.conn == p.Conn {
		e.conn = 0
	}
	var out lost
	for ref, m := range e.monitors.m {
		if ends(m.remote.conn, p.Conn) {
			e.monitors.remove(ref)
			out.monitors = append(out.monitors, m)
		}
	}
	for key, l := range e.links.m {
		if ends(l.conn, p.Conn) {
			e.links.remove(key)
			out.links = append(out.links, l)
		}
	}
	for ref, q := range e.requests.m {
		if ends(q.conn, p.Conn) {
			e.requests.remove(ref)
			out.requests = append(out.requests, q)
		}
	}
	for _, w := range e.watches.m {
		out.watches = append(out.watches, w)
	}
	e.watches = shrinkMap[uint64, *remoteWatch]{}
	s.tidy(p.Name)
	return out
}

// ends reports whether what was begun in session began ends with session gone.
func ends(began, gone uint64) bool { return began == 0 || began == gone }

// addMonitor enters a monitor, unless it has been given up meanwhile.
func (s *peers) addMonitor(m *Monitor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !m.active() {
		return false
	}
	s.get(m.remote.node.Name).monitors.put(m.remote.ref, m)
	return true
}

// takeMonitor removes and returns a monitor, nil when it is not there.
func (s *peers) takeMonitor(name string, ref uint64) *Monitor {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byName[name]
	if e == nil {
		return nil
	}
	m := e.monitors.m[ref]
	if m != nil {
		e.monitors.remove(ref)
		s.tidy(name)
	}
	return m
}

// addLink enters a link, unless it belongs to a session that has ended. The process's mu is held.
func (s *peers) addLink(l *linkEnd) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.get(l.peer.Node)
	if l.conn != 0 && l.conn != e.conn {
		s.tidy(l.peer.Node)
		return false
	}
	e.links.put(linkKey{l.p.id, l.peer}, l)
	return true
}

func (s *peers) removeLink(p *Process, pid PID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byName[pid.Node]; e != nil {
		e.links.remove(linkKey{p.id, pid})
		s.tidy(pid.Node)
	}
}

func (s *peers) addRequest(name string, ref uint64, q *request) {
	s.mu.Lock()
	s.get(name).requests.put(ref, q)
	s.mu.Unlock()
}

func (s *peers) takeRequest(name string, ref uint64) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byName[name]
	if e == nil {
		return nil
	}
	q := e.requests.m[ref]
	if q != nil {
		e.requests.remove(ref)
		s.tidy(name)
	}
	return q
}

// abandon gives a request up, or leaves it to its late function. It reports whether the answer was still to come.
func (s *peers) abandon(name string, ref uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byName[name]
	if e == nil || e.requests.m[ref] == nil {
		return false
	}
	if q := e.requests.m[ref]; q.late != nil {
		e.requests.put(ref, &request{answer: make(chan answer, 1), first: q.late, conn: q.conn})
		return true
	}
	e.requests.remove(ref)
	s.tidy(name)
	return true
}

// addWatch enters a monitor of the peer, if its session is still up and the number is new.
func (s *peers) addWatch(w *remoteWatch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byName[w.peer.Name]
	if e == nil || e.conn != w.peer.Conn || e.watches.m[w.ref] != nil {
		return false
	}
	e.watches.put(w.ref, w)
	return true
}

// takeWatch removes and returns a monitor of the peer, nil when it is not there.
func (s *peers) takeWatch(name string, ref uint64) *remoteWatch {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byName[name]
	if e == nil {
		return nil
	}
	w := e.watches.m[ref]
	if w != nil {
		e.watches.remove(ref)
	}
	return w
}

// begun notes the session in which something is begun. It is called after the entry was made: then either the end of
// the session finds the entry, or the session was not the one seen here.
func (r *Runtime) begun(name string, conn *uint64) {
	if p, ok := r.net.Peer(name); ok {
		r.peers.mu.Lock()
		*conn = p.Conn
		r.peers.mu.Unlock()
	}
}
