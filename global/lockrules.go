package global

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/kith-mesh/kith/node"
)

// A lock is taken at every node of its set: first at the lowest by name, where whoever is not served waits in line, so
// that contenders meet there; then at all others at once. Should one of these refuse, because of a lock with another
// set, everything is given back and tried again later.

// locks are the locks as this node sees them, and the handles that it has itself.
type locks struct {
	table lockTable
	held  map[uint64]*hold
	rand  *rand.Rand
}

func (l *locks) init(seed uint64) {
	l.table, l.held, l.rand = lockTable{}, map[uint64]*hold{}, rand.New(rand.NewPCG(seed, seed))
}

// hold is one handle of this node.
type hold struct {
	id        uint64
	resource  string
	requester string
	nodes     []node.ID // the set; nil for all
	retries   int       // negative: wait in line
	done      func(token Version, err error)
	lost      func()

	first   *peer // where it is tried first; nil for this node
	rest    map[node.ID]bool
	state   holdState
	refused bool
	token   Version
	at      []node.ID // where it may be entered
	pause   time.Duration
	again   time.Time
}

type holdState uint8

const (
	holdFirst holdState = iota // asked the first
	holdRest                   // asked the others
	holdPause                  // waits for the next attempt
	holdHas                    // has the lock
)

// Bounds of the pause between attempts (GLOB-54). It doubles, and a random part of it is waited.
const (
	leastPause = 250 * time.Millisecond
	mostPause  = 8 * time.Second
)

// lock begins to take a lock. done is called once.
func (c *core) lock(h *hold) {
	h.pause = leastPause
	c.tryLock(h)
}

// tryLock makes one attempt, under a number of its own, so that no answer is taken for that to another attempt.
func (c *core) tryLock(h *hold) {
	delete(c.locks.held, h.id)
	h.id = c.nextID()
	c.locks.held[h.id] = h
	h.state, h.refused, h.token = holdFirst, false, Version{}
	list, err := c.lockNodes(h)
	if err != nil {
		c.failLock(h, err)
		return
	}
	h.rest = map[node.ID]bool{}
	for _, id := range list[1:] {
		h.rest[id] = true
	}
	c.lockAt(h, list[0], h.retries < 0)
}

// lockNodes is where to take the lock, the first first. Of all nodes, those that do not answer are left out; of a set
// that was named, none may be missing (GLOB-63).
func (c *core) lockNodes(h *hold) (list []node.ID, err error) {
	for _, id := range h.nodes {
		if id != c.self && c.peers[id] == nil {
			return nil, fmt.Errorf("%w: %s", ErrNotConnected, id.Name)
		}
		list = append(list, id)
	}
	if h.nodes == nil {
		list = append(list, c.self)
		for _, p := range c.view {
			if !p.behind {
				list = append(list, p.id)
			}
		}
	}
	slices.SortFunc(list, func(a, b node.ID) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Incarnation, b.Incarnation))
	})
	return slices.Compact(list), nil
}

func (c *core) lockAt(h *hold, id node.ID, wait bool) {
	h.at = append(h.at, id)
	if id == c.self {
		h.first = nil
		c.lockedAt(h, c.self, c.takeLock(c.self, h.id, h.resource, h.requester, h.token, wait), wait)
		return
	}
	p := c.peers[id]
	if h.state == holdFirst {
		h.first = p
	}
	c.send(p, func(b []byte) []byte {
		flags := byte(0)
		if wait {
			flags = 1
		}
		b = append(appendID(b, opLock, h.id), flags)
		return appendVersion(appendString(appendString(b, h.resource), h.requester), h.token)
	})
	if h.nodes == nil {
		c.await(p, &gather{done: func() {}}) // notices a peer that does not answer
		p.counted = true
	}
}

// takeLock takes a lock at this node. A version is the answer yes.
func (c *core) takeLock(by node.ID, id uint64, resource, requester string, token Version, wait bool) (v Version) {
	c.clock.observe(token)
	v = c.clock.next(c.now)
	if token.IsZero() {
		token = v
	}
	if c.locks.table.take(resource, waiter{holder: holder{by, id}, requester: requester, token: token}, wait) {
		return token
	}
	return Version{}
}

// lockedAt takes a node's answer. A zero version is a no, or not yet where the handle waits in line.
func (c *core) lockedAt(h *hold, id node.ID, v Version, waits bool) {
	switch {
	case h.state == holdFirst:
		if v.IsZero() {
			if !waits {
				c.retryLock(h)
			}
			return
		}
		h.state, h.token = holdRest, v
		c.clock.observe(v)
		c.lockRest(h)
	case h.state == holdRest: // a no counts also when it comes too late to be waited for
		delete(h.rest, id)
		h.refused = h.refused || v.IsZero()
		c.lockedRest(h)
	}
}

// lockRest asks all but the first. Of those that have gone since the attempt began, a lock of all does without.
func (c *core) lockRest(h *hold) {
	for _, id := range c.sorted(h.rest) {
		if p := c.peers[id]; id != c.self && (p == nil || h.nodes == nil && p.behind) {
			if h.nodes != nil {
				c.giveBack(h)
				c.failLock(h, fmt.Errorf("%w: %s", ErrNotConnected, id.Name))
				return
			}
			delete(h.rest, id)
		}
	}
	for _, id := range c.sorted(h.rest) {
		c.lockAt(h, id, false)
	}
	c.lockedRest(h)
}

func (c *core) sorted(set map[node.ID]bool) []node.ID {
	list := make([]node.ID, 0, len(set))
	for id := range set {
		list = append(list, id)
	}
	slices.SortFunc(list, func(a, b node.ID) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// lockedRest ends the attempt when all have answered.
func (c *core) lockedRest(h *hold) {
	switch {
	case h.state != holdRest || len(h.rest) > 0:
	case h.refused || h.nodes == nil && c.heldElsewhere(h):
		c.retryLock(h)
	case h.nodes == nil && c.metOthers(h):
		c.giveBack(h)
		c.tryLock(h)
	default:
		h.state = holdHas
		h.done(h.token, nil)
		c.announce(h)
	}
}

// heldElsewhere says whether a peer that was not asked has told meanwhile that it has the lock: partitions have met.
func (c *core) heldElsewhere(h *hold) bool {
	s := c.locks.table[h.resource]
	return s != nil && slices.ContainsFunc(s.waiting, func(w waiter) bool { return w.has })
}

// metOthers says whether peers that were not asked have come during the attempt. They may be taking the lock as well.
func (c *core) metOthers(h *hold) bool {
	return slices.ContainsFunc(c.view, func(p *peer) bool { return !p.behind && !slices.Contains(h.at, p.id) })
}

// announce tells peers that were not asked for a lock, since they have not said hello yet, that this node holds it. One
// that is behind is told when it is back.
func (c *core) announce(h *hold) {
	if h.nodes != nil {
		return
	}
	for _, p := range c.list {
		if !p.behind && !p.apart && !slices.Contains(h.at, p.id) {
			c.tellLock(p, h)
		}
	}
}

// retryLock gives back what the attempt got, and plans the next.
func (c *core) retryLock(h *hold) {
	c.giveBack(h)
	if h.retries == 0 {
		c.failLock(h, fmt.Errorf("%w: %q", ErrLocked, h.resource))
		return
	}
	if h.retries > 0 {
		h.retries--
	}
	h.state = holdPause
	h.again = c.now.Add(time.Duration(c.locks.rand.Int64N(int64(h.pause))))
	h.pause = min(2*h.pause, mostPause)
}

func (c *core) failLock(h *hold, err error) {
	delete(c.locks.held, h.id)
	h.done(Version{}, err)
}

// unlock gives a lock back, or the wish for it.
func (c *core) unlock(h *hold) {
	if c.locks.held[h.id] != h {
		return
	}
	delete(c.locks.held, h.id)
	if h.nodes == nil { // those that came since have it too
		for _, p := range c.list {
			if !slices.Contains(h.at, p.id) {
				h.at = append(h.at, p.id)
			}
		}
	}
	c.giveBack(h)
}

// giveBack takes the handle out wherever it may be entered.
func (c *core) giveBack(h *hold) {
	at := h.at
	h.at = nil
	for _, id := range at {
		if id == c.self {
			c.handOn(c.locks.table.drop(h.resource, holder{c.self, h.id}))
		} else if p := c.peers[id]; p != nil {
			c.send(p, func(b []byte) []byte { return appendString(appendID(b, opUnlock, h.id), h.resource) })
		}
	}
}

// handOn tells those whose turn has come.
func (c *core) handOn(list []grant) {
	for _, g := range list {
		v := Version{}
		if s := c.locks.table[g.resource]; s != nil {
			v = c.clock.next(c.now)
			s.token = v
		}
		if g.node != c.self {
			if p := c.peers[g.node]; p != nil {
				c.answerLock(p, g.id, v)
			}
		} else if h := c.locks.held[g.id]; h != nil {
			c.lockedAt(h, c.self, v, false)
		}
	}
}

func (c *core) answerLock(p *peer, id uint64, v Version) {
	c.send(p, func(b []byte) []byte { return appendVersion(appendID(b, opLocked, id), v) })
}

// lockOperation takes the operations about locks.
func (c *core) lockOperation(p *peer, o op, r *reader) {
	id := r.uint()
	switch o {
	case opLock:
		flags, resource, requester, token := r.byte(), r.name(), r.name(), r.version()
		if r.err != nil || !p.joined {
			return
		}
		wait := flags&1 != 0
		if v := c.takeLock(p.id, id, resource, requester, token, wait); !wait || !v.IsZero() {
			c.answerLock(p, id, v)
		}
	case opLocked:
		v := r.version()
		h := c.locks.held[id]
		switch {
		case r.err != nil:
		case h == nil || !slices.Contains(h.at, p.id): // given back meanwhile, and the peer has been told
			c.fx.ignored()
		default:
			c.lockedAt(h, p.id, v, false)
		}
	case opUnlock:
		if resource := r.name(); r.err == nil {
			c.handOn(c.locks.table.drop(resource, holder{p.id, id}))
		}
	case opHeld:
		resource, requester, token := r.name(), r.name(), r.version()
		if r.err == nil && p.joined {
			c.onHeld(p, id, resource, requester, token)
		}
	}
}

// onHeld takes what a peer that is new or back holds everywhere. If this node holds the same lock for another requester, the handles of
// the higher node by name are lost (GLOB-64).
func (c *core) onHeld(p *peer, id uint64, resource, requester string, token Version) {
	c.clock.observe(token)
	// First, so that what is given back below goes to the peer, and not to somebody here who waits in line.
	c.locks.table.take(resource, waiter{holder: holder{p.id, id}, requester: requester, token: token, has: true}, false)
	if !c.lower(p) {
		for _, h := range c.sortedHolds() {
			if h.state == holdHas && h.nodes == nil && h.resource == resource && h.requester != requester {
				c.unlock(h)
				h.lost()
			}
		}
	}
}

func (c *core) sortedHolds() []*hold {
	list := make([]*hold, 0, len(c.locks.held))
	for _, h := range c.locks.held {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b *hold) int { return cmp.Compare(a.id, b.id) })
	return list
}

// tellLocks tells a peer that is new or back of the locks that this node holds everywhere.
func (c *core) tellLocks(p *peer) {
	for _, h := range c.sortedHolds() {
		if h.state == holdHas && h.nodes == nil {
			c.tellLock(p, h)
		}
	}
}

func (c *core) tellLock(p *peer, h *hold) {
	c.send(p, func(b []byte) []byte {
		b = appendString(appendString(appendID(b, opHeld, h.id), h.resource), h.requester)
		return appendVersion(b, h.token)
	})
}

// locksPeerDown frees what a lost node held, and does without it where it was asked.
func (c *core) locksPeerDown(p *peer) {
	for _, h := range c.locks.held { // the peer has freed what was entered there; a new session does not know of it
		h.at = slices.DeleteFunc(h.at, func(id node.ID) bool { return id == p.id })
	}
	c.handOn(c.locks.table.lost(p.id))
	c.without(p, true)
}

// locksBehind does without a peer that does not answer, where the lock is one of all nodes.
func (c *core) locksBehind(p *peer) { c.without(p, false) }

func (c *core) without(p *peer, gone bool) {
	for _, h := range c.sortedHolds() {
		asked := h.state == holdFirst && h.first == p || h.state == holdRest && h.rest[p.id]
		switch {
		case !asked:
		case h.nodes == nil && h.state == holdRest:
			delete(h.rest, p.id)
			c.lockedRest(h)
		case h.nodes == nil:
			c.giveBack(h)
			c.tryLock(h)
		case gone:
			c.giveBack(h)
			c.failLock(h, fmt.Errorf("%w: %s", ErrNotConnected, p.id.Name))
		}
	}
}

// locksTicked begins the attempts that are due.
func (c *core) locksTicked() {
	for _, h := range c.sortedHolds() {
		if h.state == holdPause && !c.now.Before(h.again) {
			c.tryLock(h)
		}
	}
}
