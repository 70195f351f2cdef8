package global

import (
	"slices"
	"strings"
	"time"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// core is the table of names of one node and the rules by which it changes: a state machine that takes calls, frames,
// the ends of processes and the time, and hands out what is to be done. It has no goroutine and no lock; the registry
// calls it under its own.
//
// The rules. Each node is the only writer of the registrations of its own processes, and tells them to every peer in
// order: so nothing that is gone comes back, and a table holds just the names of processes on nodes with a session. To
// register a name, the owner of the process first asks the arbiter of the name, which grants it to one; then it tells
// all peers, and the call returns when they have acknowledged it. Nodes that see different arbiters, or do not hear
// one in time, may get two grants: then the owners find out while they tell each other, and one of them yields.
type core struct {
	self    node.ID
	hash    uint64
	space   string
	several bool
	fx      effects
	now     time.Time     // of the call that is being dealt with
	tick    time.Duration // how long a peer is waited for
	clock   hybrid
	lastID  uint64

	names map[string][]*entry // candidates for each name, the one that is shown first
	procs map[uint64]*owned   // own processes with names or claims
	peers map[node.ID]*peer
	list  []*peer // peers, by name
	view  []*peer // those of the same name space

	asking   map[string]*claim // own claims that are not granted yet
	claims   map[uint64]*claim // the same by the number of the question to the arbiter
	asked    []question        // these questions, the oldest first
	reserved map[string]reservation
	requests map[uint64]*request // asked of peers

	locks locks
	doubt doubt
}

// effects is what the core wants done. The methods are called within the calls of the core and must not block or call
// it back.
type effects interface {
	// post sends a frame.
	post(to node.ID, frame []byte)
	// alive, watch and unwatch are about processes of this node. The end of a watched one is told by core.exit.
	alive(id uint64) bool
	watch(id uint64)
	unwatch(id uint64)
	// changed tells what readers see under a name from now on, and what they saw before; nil for nobody.
	changed(before, after *entry, why Reason)
	// resolve decides a clash of own and theirs, and then calls core.resolved.
	resolve(p *peer, own, theirs *entry)
	// lost tells an own process that it has lost its name, and stops it if it is to stop.
	lost(e *entry, other process.PID, d decision)
	// met says that a peer has joined those of the same name space.
	met()
	// doubted says whether this node must not believe in its own names.
	doubted(bool)
	// ignored counts something that makes no sense any more, such as the answer to a question that was given up.
	ignored()
}

// owned is an own process with names or claims.
type owned struct {
	names  nameSet
	claims int
}

func newCore(self node.ID, space string, fx effects) *core {
	c := &core{
		self: self, hash: hash(self.Name), space: space, fx: fx, tick: time.Second, clock: hybrid{node: self.Incarnation},
		names: map[string][]*entry{}, procs: map[uint64]*owned{}, peers: map[node.ID]*peer{},
		asking: map[string]*claim{}, claims: map[uint64]*claim{}, reserved: map[string]reservation{},
		requests: map[uint64]*request{},
	}
	c.locks.init(self.Incarnation)
	return c
}

// at says what time it is, before each call.
func (c *core) at(now time.Time, tick time.Duration) {
	c.now, c.tick = now, tick
	c.notice()
}

func (c *core) nextID() uint64 {
	c.lastID++
	return c.lastID
}

// shown is what readers see under a name, nil for nobody.
func (c *core) shown(name string) *entry {
	if list := c.names[name]; len(list) > 0 {
		return list[0]
	}
	return nil
}

// candidate is the registration of a name by one node.
func (c *core) candidate(name string, owner node.ID) *entry {
	for _, e := range c.names[name] {
		if e.owner() == owner {
			return e
		}
	}
	return nil
}

func (c *core) own(name string) *entry { return c.candidate(name, c.self) }

// put enters a registration, in the place of the one by the same node, and takes drop out, if that is not nil.
func (c *core) put(e, drop *entry, why Reason) {
	before := c.shown(e.Name)
	old := c.names[e.Name]
	list := make([]*entry, 0, len(old)+1)
	for _, o := range old {
		switch {
		case o.owner() == e.owner(): // its owner has e instead
		case o == drop:
			c.unindex(o)
		default:
			list = append(list, o)
		}
	}
	list = append(list, e)
	c.index(e)
	if len(list) > 1 {
		slices.SortFunc(list, func(a, b *entry) int {
			// While a clash is not resolved, an owner holds on to its own registration; third parties show the older one.
			switch {
			case a.owner() == c.self:
				return -1
			case b.owner() == c.self:
				return 1
			case a.before(b):
				return -1
			}
			return 1
		})
	}
	c.names[e.Name] = list
	c.fx.changed(before, list[0], why)
}

// remove takes a registration out.
func (c *core) remove(e *entry, why Reason) {
	list := c.names[e.Name]
	i := slices.Index(list, e)
	if i < 0 {
		return
	}
	before := list[0]
	c.unindex(e)
	if len(list) == 1 {
		delete(c.names, e.Name)
	} else {
		c.names[e.Name] = slices.Delete(slices.Clone(list), i, i+1)
	}
	if after := c.shown(e.Name); after != before {
		c.fx.changed(before, after, why)
	}
}

// index keeps what lets the end of a process or of a session find its registrations.
func (c *core) index(e *entry) {
	if e.owner() == c.self {
		c.hold(e.PID.ID).names.add(e.Name)
		return
	}
	c.peers[e.owner()].entries[e.Name] = e
}

func (c *core) unindex(e *entry) {
	if e.owner() == c.self {
		if o := c.procs[e.PID.ID]; o != nil {
			o.names.remove(e.Name)
			c.letGo(e.PID.ID)
		}
		return
	}
	if p := c.peers[e.owner()]; p != nil && p.entries[e.Name] == e {
		delete(p.entries, e.Name)
	}
}

// hold is what is kept of an own process; from then on its end is told.
func (c *core) hold(id uint64) *owned {
	o := c.procs[id]
	if o == nil {
		o = &owned{}
		c.procs[id] = o
		c.fx.watch(id)
	}
	return o
}

func (c *core) letGo(id uint64) {
	if o := c.procs[id]; o != nil && o.names.len() == 0 && o.claims == 0 {
		delete(c.procs, id)
		c.fx.unwatch(id)
	}
}

// exit takes the names of an own process that has ended.
func (c *core) exit(id uint64) {
	o := c.procs[id]
	if o == nil {
		return
	}
	for _, name := range o.names.list() {
		e := c.own(name)
		c.withdraw(e, Exited, nil)
		if e.claim != nil {
			c.finish(e.claim, ErrNoProcess)
		}
	}
}

// withdraw takes out an own registration and tells all.
func (c *core) withdraw(e *entry, why Reason, g *gather) {
	c.remove(e, why)
	c.broadcast(e.Name, g, func(b []byte) []byte { return appendDel(b, e.Name, why) })
}

// tell tells all of an own registration.
func (c *core) tell(e *entry, g *gather) {
	c.broadcast(e.Name, g, func(b []byte) []byte { return appendSet(b, e, 0) })
}

// ticked takes note of the time. It must be called several times in each tick.
func (c *core) ticked() {
	for len(c.asked) > 0 {
		q := c.asked[0]
		if cl := c.claims[q.id]; cl != nil {
			if c.now.Sub(q.since) < c.tick {
				break
			}
			c.fallBehind(cl.arbiter)
			continue // which has put the question to another
		}
		c.asked = c.asked[1:]
	}
	for _, p := range c.list {
		if len(p.awaited) > 0 && c.now.Sub(p.awaited[0].since) >= c.tick {
			c.fallBehind(p)
		}
	}
	c.locksTicked()
	c.doubtTicked()
}

// lower says whether this node is the lower of two, which settles clashes.
func (c *core) lower(p *peer) bool { return strings.Compare(c.self.Name, p.id.Name) < 0 }
