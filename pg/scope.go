package pg

import (
	"fmt"
	"sync"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// Scope is a set of groups that the nodes which run it share. Each node is the only one that says which of its own
// processes are members; it says so to each peer, in order, and a peer that has just appeared gets all of it. So a
// process sees its own changes at once, those of others soon, and all nodes that are connected agree in the end.
//
// All methods may be called by any number of goroutines at once. Those that read take no part in what writers and
// peers do and never wait for the network; those that join and leave do not either.
type Scope struct {
	name string
	g    *Groups
	taps *tapSet
	done chan struct{} // closed when Stop has finished

	mu       sync.RWMutex // guards the fields below
	stopped  bool
	table    *table
	peers    map[node.ID]*peering
	told     []node.ID         // the peers that get the changes of this node
	watches  map[uint64]func() // by local process: ends the watch on its end
	monitors monitors
	answered map[node.ID]struct{} // the peers that have told their members, or that they do not run the scope
	news     chan struct{}        // closed when answered grows; nil if nobody waits
	buf      []byte               // for frames; posting copies them
}

func newScope(g *Groups, name string, taps *tapSet) *Scope {
	return &Scope{
		name: name, g: g, taps: taps, done: make(chan struct{}),
		table: newTable(g.self), peers: make(map[node.ID]*peering), watches: make(map[uint64]func()),
		answered: make(map[node.ID]struct{}),
	}
}

// Name is the name of the scope.
func (s *Scope) Name() string { return s.name }

// Join makes processes of this node members of a group, each once more for every time it is listed (PG-03). The group
// need not exist. When Join has returned, this node sees the members (PG-01); to the others the whole call is one
// change (PG-20). A process that has ended meanwhile is out again at once (PG-11). Without processes it does nothing
// (PG-50). Errors: ErrBadName, ErrNotLocal (nothing was joined), ErrClosed. It does not wait for any peer (PG-13).
func (s *Scope) Join(group string, pids ...process.PID) error {
	return s.join(key{name: group}, nil, pids)
}

// JoinWith is Join with metadata for each of the processes. Joining again replaces the metadata. Errors: those of
// Join, ErrMetaTooLarge.
func (s *Scope) JoinWith(group string, meta Meta, pids ...process.PID) error {
	return s.join(key{name: group}, meta, pids)
}

// Subscribe lets processes of this node take what is broadcast to every group that matches a pattern: a name of
// dot-separated tokens where "*" stands for any one token and a last ">" for one or more, such as "sport.*.goal".
// A subscriber is no member of these groups, and no monitor tells of it. It gets a copy for each of its memberships
// and subscriptions. Errors: those of Join.
func (s *Scope) Subscribe(pattern string, pids ...process.PID) error {
	return s.join(key{name: pattern, pattern: true}, nil, pids)
}

// Leave takes processes out of a group, each once for every time it is listed (PG-04). It succeeds when at least one
// was a member; only those that were are reported (PG-06, PG-51). Errors: ErrNotJoined, ErrBadName, ErrNotLocal,
// ErrClosed. When Leave has returned, no broadcast that begins on this node reaches the process any more; one that is under
// way still may, whether it is of another node or of another goroutine here.
func (s *Scope) Leave(group string, pids ...process.PID) error {
	return s.leave(key{name: group}, pids)
}

// Unsubscribe ends subscriptions made by Subscribe, each once for every time it is listed. Errors: those of Leave.
func (s *Scope) Unsubscribe(pattern string, pids ...process.PID) error {
	return s.leave(key{name: pattern, pattern: true}, pids)
}

// ids accepts processes of this node only (PG-08).
func (s *Scope) ids(pids []process.PID) ([]uint64, error) {
	ids := make([]uint64, len(pids))
	for i, p := range pids {
		if p.Node != s.g.self.Name || p.Incarnation != s.g.self.Incarnation {
			return nil, fmt.Errorf("%w: %v", ErrNotLocal, p)
		}
		ids[i] = p.ID
	}
	return ids, nil
}

func (s *Scope) join(k key, meta Meta, pids []process.PID) error {
	if err := k.check(); err != nil {
		return err
	}
	if err := meta.check(); err != nil {
		return err
	}
	ids, err := s.ids(pids)
	if err != nil {
		return err
	}
	meta = meta.clone()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("%w: scope %q", ErrClosed, s.name)
	}
	if len(ids) == 0 {
		return nil
	}
	c := s.table.join(k, s.table.self, ids, meta)
	for _, id := range ids {
		s.watch(id)
	}
	if len(ids) > chunkIDs {
		s.tellAll(k)
	} else {
		s.tell(func(b []byte) []byte { return appendJoin(b, k, ids, meta) })
	}
	s.notify(&c, "")
	return nil
}

// watch makes sure that the end of a local process is noticed. The lock is held.
func (s *Scope) watch(id uint64) {
	if _, ok := s.watches[id]; ok {
		return
	}
	s.watches[id] = nil
	s.watches[id] = s.g.rt.Watch(pid(s.g.self, id), func(error) { s.g.deaths.add(s, id) })
}

// unwatch ends the watch on a process that is in no group any more. The lock is held.
func (s *Scope) unwatch(id uint64) {
	if s.table.residents[id] != nil {
		return
	}
	if cancel := s.watches[id]; cancel != nil {
		cancel()
	}
	delete(s.watches, id)
}

func (s *Scope) leave(k key, pids []process.PID) error {
	if err := k.check(); err != nil {
		return err
	}
	ids, err := s.ids(pids)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("%w: scope %q", ErrClosed, s.name)
	}
	c, ok := s.table.leave(k, s.table.self, ids)
	if !ok {
		return fmt.Errorf("%w: %q", ErrNotJoined, k.name)
	}
	for _, id := range c.ids {
		s.unwatch(id)
	}
	s.vacated(k)
	if len(c.ids) > chunkIDs {
		s.tellAll(k)
	} else {
		s.tell(func(b []byte) []byte { return appendLeave(b, k, c.ids) })
	}
	s.notify(&c, "")
	return nil
}

// vacated gives the topic of a group back, once the peers have released it, if its last local member has gone. The lock is
// held, and the peers have not been told of the change yet: their answers do not wait for the lock.
func (s *Scope) vacated(k key) {
	if s.table.find(k).share(s.table.self) == nil {
		s.taps.vacant(s.g, s.name, k, s.told)
	}
}

// SetMeta replaces the metadata of a member of this node. Errors: ErrNotJoined, ErrNotLocal, ErrMetaTooLarge,
// ErrBadName, ErrClosed.
func (s *Scope) SetMeta(group string, member process.PID, meta Meta) error {
	k := key{name: group}
	if err := k.check(); err != nil {
		return err
	}
	if err := meta.check(); err != nil {
		return err
	}
	ids, err := s.ids([]process.PID{member})
	if err != nil {
		return err
	}
	meta = meta.clone()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("%w: scope %q", ErrClosed, s.name)
	}
	c, ok := s.table.setMeta(k, s.table.self, ids[0], meta)
	if !ok {
		return fmt.Errorf("%w: %v in %q", ErrNotJoined, member, group)
	}
	s.tell(func(b []byte) []byte { return appendSetMeta(b, k, ids[0], meta) })
	s.notify(&c, "")
	return nil
}

// tell sends one change to every peer that runs the scope. The lock is held, so that the changes go out in the order
// in which they were made.
func (s *Scope) tell(op func(b []byte) []byte) {
	if len(s.told) == 0 {
		return
	}
	s.buf = op(appendHeader(s.buf[:0], kindUpdate, s.name))
	s.postAll(s.buf)
}

func (s *Scope) postAll(frame []byte) {
	for _, id := range s.told {
		s.g.post(id, frame)
	}
}

// tellAll sends this node's whole share of a group, which is one change to those who get it however large it is.
func (s *Scope) tellAll(k key) {
	if len(s.told) == 0 {
		return
	}
	w := newSyncWriter(s.name, false, s.postAll)
	w.add(s.part(k, s.table.find(k).share(s.table.self)))
	w.end(false)
}

// part is this node's share of a group as peers are told of it. The lock is held.
func (s *Scope) part(k key, sh *share) part {
	p := part{key: k, lane: s.taps.generation(k)}
	if sh == nil {
		return p
	}
	p.ids = sh.set.appendIDs(make([]uint64, 0, sh.set.total()))
	if sh.more != nil {
		p.meta = sh.more.meta
	}
	return p
}

// notify tells the monitors of a change. The lock is held.
func (s *Scope) notify(c *change, reason node.Reason) {
	if c.kind != 0 && !c.key.pattern && s.monitors.interested(c.key.name) {
		s.monitors.tell(c.event(reason))
	}
}

// runs reports whether the scope has not been stopped.
func (s *Scope) runs() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !s.stopped
}
