package pg

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// plan is whom one broadcast goes to, as the table was at one moment: those who had joined by then get it.
type plan struct {
	locals  []process.PID // those of this node; not to be changed, it may be shared
	own     []process.PID // room for locals
	targets []target
	via     []node.ID // room for the nodes that take the topic
	buf     []byte    // room for the header
	counted bool      // it is acknowledged: see credit
	large   bool      // it goes in parts, to each node by itself
	ask     bool      // somebody has to be asked to take the topic
}

// target is one other node with members.
type target struct {
	origin  *origin
	id      node.ID
	members int
	lane    *lane // nil until the node has told that it takes the topic
	ask     *key  // what the node has to be asked to take
	// undecided says that it was asked a moment ago, and may have subscribed: the topic would reach it besides what goes over
	// its session.
	undecided bool
	state     state
	purse     *purse // where credit was reserved for it
}

// state is how far a broadcast got with one target.
type state uint8

const (
	waiting state = iota // it has not been tried
	sent                 // it has gone out
	full                 // the node cannot take it now
	gone                 // there is no session with the node any more
	refused              // nobody can be sent this
)

var plans = sync.Pool{New: func() any { return new(plan) }}

// plan lists who gets a broadcast to a group. Lanes are entered: the caller leaves them when the node has taken the
// frame. ok is false when the scope has been stopped.
func (s *Scope) plan(name string) (p *plan, ok bool) {
	p = plans.Get().(*plan)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.stopped {
		p.free()
		return nil, false
	}
	if s.table.trie.size > 0 {
		// Patterns first: a node that takes the topic of one needs no subscription for each group.
		s.table.trie.match(name, func(g *group) { p.add(s.table.self, g) })
	}
	if g := s.table.groups[name]; g != nil {
		p.add(s.table.self, g)
	}
	p.chooseLanes(s.g.topicFrom)
	return p, true
}

// topicFrom is from how many other nodes on a broadcast goes over the group's topic. It is one copy for each node
// either way. Over the sessions it shares messages with whatever else goes there; over the topic it is published once.
// Measured, that pays from four nodes on, and below that a subscription would only cost its memory (ADR 9).
const topicFrom = 4

// decisionTime is how long a node may take to tell that it takes a topic.
const decisionTime = 2 * time.Second

// chooseLanes enters the lanes that are to be used. The lock is held for reading.
func (p *plan) chooseLanes(from int) {
	few := len(p.targets) < from
	for i := range p.targets {
		t := &p.targets[i]
		if few {
			t.lane, t.ask = nil, nil
		} else if t.lane != nil {
			t.lane.enter()
		}
	}
	if few {
		p.ask = false
	}
}

// add puts in who is in one group or pattern.
func (p *plan) add(self *origin, g *group) {
	fresh := len(p.targets) == 0 // no node can be in the list yet
	for i := range g.shares {
		sh := &g.shares[i]
		if sh.origin == self {
			p.addLocals(sh)
			continue
		}
		p.addTarget(g, sh, fresh)
	}
}

func (p *plan) addLocals(sh *share) {
	if len(p.locals) == 0 && sh.set.many != nil {
		p.locals = sh.set.many.pids.get(sh)
		return
	}
	if len(p.own) == 0 {
		p.own = append(p.own, p.locals...) // what was shared so far
	}
	p.own = sh.appendPIDs(p.own)
	p.locals = p.own
}

func (p *plan) addTarget(g *group, sh *share, fresh bool) {
	t := p.target(sh.origin, fresh)
	t.members += sh.set.total()
	if t.lane != nil {
		return
	}
	if sh.more != nil && sh.more.lane != nil {
		t.lane, t.ask = sh.more.lane, nil
		return
	}
	if sh.more != nil && sh.more.asked != 0 {
		t.undecided = t.undecided || time.Now().UnixNano()-sh.more.asked < int64(decisionTime)
		return
	}
	if t.ask == nil {
		k := g.key()
		t.ask = &k
		p.ask = true
	}
}

// target returns the entry of a node. With patterns a node may be met more than once.
func (p *plan) target(o *origin, fresh bool) *target {
	for i := range p.targets {
		if !fresh && p.targets[i].origin == o {
			return &p.targets[i]
		}
	}
	p.targets = append(p.targets, target{origin: o, id: o.id})
	return &p.targets[len(p.targets)-1]
}

// many says that the broadcast is to be acknowledged, since it is many deliveries on some node.
func (p *plan) many() bool {
	for i := range p.targets {
		if p.targets[i].members >= manyFrom {
			return true
		}
	}
	return false
}

func (p *plan) messageKind() kind {
	if p.counted {
		return kindMany
	}
	return kindMessage
}

// reserve takes credit for each target of a counted broadcast. Those without are full.
func (s *Scope) reserve(p *plan) {
	if !p.counted {
		return
	}
	for i := range p.targets {
		t := &p.targets[i]
		purse := s.g.credit.get(t.id)
		if ok, _ := purse.reserve(t.members); ok {
			t.purse = purse
		} else {
			t.state = full
		}
	}
}

// settle uses the credit that was reserved, or gives it back.
func (t *target) settle() {
	if t.purse == nil {
		return
	}
	if t.state == sent {
		t.purse.sent(t.members)
	} else {
		t.purse.unsent(t.members)
	}
	t.purse = nil
}

// useTopic lists the nodes that the topic is used for, and says whether it is. It is not while few nodes take it, nor
// while one that takes the topic cannot be listed, or one may be about to take it, since its broker would get the message
// all the same.
func (p *plan) useTopic(from int) bool {
	for i := range p.targets {
		t := &p.targets[i]
		if t.lane == nil && !t.undecided {
			continue
		}
		if t.state != waiting || t.lane == nil {
			p.via = p.via[:0]
			break
		}
		p.via = append(p.via, t.id)
	}
	return len(p.via) >= from
}

// free gives the plan back.
func (p *plan) free() {
	clear(p.targets)
	p.locals, p.own, p.targets, p.via, p.ask = nil, p.own[:0], p.targets[:0], p.via[:0], false
	p.counted, p.large = false, false
	if cap(p.own) > 1024 {
		p.own = nil
	}
	plans.Put(p)
}

// leaveLanes says that nothing of this broadcast is under way any more.
func (p *plan) leaveLanes() {
	for i := range p.targets {
		if l := p.targets[i].lane; l != nil {
			p.targets[i].lane = nil
			l.leave()
		}
	}
}

// pidCache is the processes of a crowd as PIDs, made when it is first broadcast to and kept until it changes.
// Readers make it under the scope's read lock; who changes the crowd holds the write lock.
type pidCache struct{ list atomic.Pointer[[]process.PID] }

func (c *pidCache) forget() {
	if c.list.Load() != nil {
		c.list.Store(nil)
	}
}

func (c *pidCache) get(sh *share) []process.PID {
	if list := c.list.Load(); list != nil {
		return *list
	}
	list := sh.appendPIDs(make([]process.PID, 0, sh.set.total()))
	c.list.Store(&list)
	return list
}
