package global

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/kith-mesh/kith/node"
)

// peer is what is kept of a node while there is a session with it.
type peer struct {
	id      node.ID
	hash    uint64
	entries map[string]*entry // registrations of its processes
	joined  bool              // it has the same name space
	apart   bool              // it has another one
	synced  bool              // it has told all it has

	ops     []byte // operations that wait to be sent
	counted bool   // an acknowledgement of them is wanted
	seq     uint64 // number of the last frame sent that counts
	acked   uint64 // the last of these that the peer has dealt with
	seen    uint64 // the last frame of the peer that was dealt with here
	told    uint64 // as far as it knows
	awaited []awaited

	// behind: it did not answer within a tick. Nobody waits for it, and what has changed is only noted, until it has
	// acknowledged all that is under way.
	behind bool
	dirty  map[string]struct{}

	settled map[clashKey]bool // clashes that were or are being resolved
}

// awaited is a frame whose acknowledgement somebody waits for.
type awaited struct {
	seq   uint64
	since time.Time
	g     *gather
}

// gather waits for the acknowledgements of several peers.
type gather struct {
	left int
	done func()
}

func (g *gather) arrived() {
	if g.left--; g.left == 0 {
		g.done()
	}
}

// chunkBytes is the size from which a frame is closed: well under what may be posted at once.
const chunkBytes = 64 << 10

// peerUp takes a new session.
func (c *core) peerUp(id node.ID) {
	p := &peer{id: id, hash: hash(id.Name), entries: map[string]*entry{}, settled: map[clashKey]bool{}}
	c.peers[id] = p
	c.list = append(c.list, p)
	slices.SortFunc(c.list, func(a, b *peer) int { return strings.Compare(a.id.Name, b.id.Name) })
	c.send(p, func(b []byte) []byte { return appendString(append(b, byte(opHello)), c.space) })
	for _, o := range c.procs {
		for _, name := range o.names.list() {
			e := c.own(name)
			c.change(p, func(b []byte) []byte { return appendSet(b, e, flagSync) })
		}
	}
	c.tellLocks(p)
	c.change(p, func(b []byte) []byte { return append(b, byte(opSynced)) })
}

// peerDown forgets a session and what came over it.
func (c *core) peerDown(id node.ID) {
	p := c.peers[id]
	if p == nil {
		return
	}
	delete(c.peers, id)
	same := func(q *peer) bool { return p == q }
	c.list, c.view = slices.DeleteFunc(c.list, same), slices.DeleteFunc(c.view, same)
	for _, e := range p.entries {
		c.remove(e, NodeDown)
	}
	for name, r := range c.reserved {
		if r.by == p {
			delete(c.reserved, name)
		}
	}
	c.arrivedAll(p)
	c.askOthers(p)
	for rid, r := range c.requests {
		if r.to == p {
			delete(c.requests, rid)
			r.done(ErrNotConnected)
		}
	}
	c.locksPeerDown(p)
}

// send puts an operation into the next frame to a peer.
func (c *core) send(p *peer, add func([]byte) []byte) {
	if len(p.ops) >= chunkBytes {
		c.seal(p)
	}
	p.ops = add(p.ops)
}

// change is send for what must be acknowledged.
func (c *core) change(p *peer, add func([]byte) []byte) {
	c.send(p, add)
	p.counted = true
}

// broadcast tells all peers something about an own name. When g is not nil, it learns of their acknowledgements; g is
// done at once if there is nobody to wait for.
func (c *core) broadcast(name string, g *gather, add func([]byte) []byte) {
	if g != nil {
		g.left++
	}
	for _, p := range c.list {
		if p.behind {
			if p.dirty == nil {
				p.dirty = map[string]struct{}{}
			}
			p.dirty[name] = struct{}{}
			continue
		}
		c.change(p, add)
		if g != nil {
			c.await(p, g)
		}
	}
	if g != nil {
		g.arrived()
	}
}

// await lets g wait for the frame that is being written to a peer.
func (c *core) await(p *peer, g *gather) {
	g.left++
	p.awaited = append(p.awaited, awaited{seq: p.seq + 1, since: c.now, g: g})
}

// seal closes the frame that is being written to a peer and sends it.
func (c *core) seal(p *peer) {
	if len(p.ops) == 0 && p.told == p.seen {
		return
	}
	seq := uint64(0)
	if p.counted {
		p.seq++
		seq = p.seq
	}
	frame := appendHeader(make([]byte, 0, len(p.ops)+2*binary.MaxVarintLen64+1), p.seen, seq)
	frame = append(frame, p.ops...)
	p.told, p.counted, p.ops = p.seen, false, p.ops[:0]
	if cap(p.ops) > 2*chunkBytes {
		p.ops = nil
	}
	c.fx.post(p.id, frame)
}

// flush sends what has gathered.
func (c *core) flush() {
	for _, p := range c.list {
		c.seal(p)
	}
}

// acknowledged takes note of what a peer has dealt with.
func (c *core) acknowledged(p *peer, seq uint64) {
	p.acked = max(p.acked, seq)
	n := 0
	for n < len(p.awaited) && p.awaited[n].seq <= seq {
		n++
	}
	done := p.awaited[:n]
	if p.awaited = p.awaited[n:]; len(p.awaited) == 0 {
		p.awaited = nil
	}
	for _, a := range done {
		a.g.arrived()
	}
	if p.behind && p.acked >= p.seq && !p.counted {
		c.catchUp(p)
	}
}

// arrivedAll ends the waiting for a peer.
func (c *core) arrivedAll(p *peer) {
	list := p.awaited
	p.awaited = nil
	for _, a := range list {
		a.g.arrived()
	}
}

// fallBehind stops waiting for a peer that has not answered within a tick.
func (c *core) fallBehind(p *peer) {
	if !p.behind {
		p.behind = true
		c.change(p, func(b []byte) []byte { return appendID(b, opPing, 0) }) // its acknowledgement tells that it is back
	}
	c.arrivedAll(p)
	c.askOthers(p)
	c.locksBehind(p)
}

// catchUp tells a peer that is back what has changed meanwhile, and the locks that this node holds: they may have been
// taken without it, as it may have taken its own.
func (c *core) catchUp(p *peer) {
	p.behind = false
	dirty := p.dirty
	p.dirty = nil
	for name := range dirty {
		if e := c.own(name); e != nil {
			c.change(p, func(b []byte) []byte { return appendSet(b, e, 0) })
		} else {
			c.change(p, func(b []byte) []byte { return appendDel(b, name, ByCall) })
		}
	}
	c.tellLocks(p)
}

// behindList names the peers that nobody waits for.
func (c *core) behindList() (names []string) {
	for _, p := range c.list {
		if p.behind {
			names = append(names, p.id.Name)
		}
	}
	return names
}

func appendID(b []byte, o op, id uint64) []byte {
	return binary.AppendUvarint(append(b, byte(o)), id)
}
