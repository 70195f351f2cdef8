package node

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/queue"
	"github.com/kith-mesh/kith/internal/wire"
)

// dispatcher is the one goroutine that receives on the ordered account. It owns the incoming half of all sessions:
// what is delivered, and when a session counts as up or down, is decided here, in one order.
type dispatcher struct {
	n        *Node
	messages chan *nats.Msg
	ops      *queue.Queue[func()]
	waiting  atomic.Int32 // operations in ops

	conns    map[uint64]*session // expected, up, and closing
	closing  map[uint64]closing  // by fence token
	overdue  []overdue           // closings whose fence has not come
	taken    uint64              // messages received so far
	handlers [maxProtocol + 1]Handler
	handles  uint64 // the same, one bit each
	stop     chan struct{}
	stopped  chan struct{}
}

// closing is a session whose end waits for a fence.
type closing struct {
	conn     uint64
	why      membership.Why
	evidence string
}

// overdue is a closing that is completed behind so many messages.
type overdue struct {
	token, behind uint64
}

// receiveCapacity is how many messages the receive channel holds. The windows granted to all peers together stay well
// under it, since each message is charged at least wire.MessageCharge.
const receiveCapacity = 64 << 10

func newDispatcher(n *Node) *dispatcher {
	return &dispatcher{
		n: n, messages: make(chan *nats.Msg, receiveCapacity), ops: queue.New[func()](),
		conns: map[uint64]*session{}, closing: map[uint64]closing{},
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// do has f run on the dispatcher, before any message that arrives later. It never blocks.
func (d *dispatcher) do(f func()) {
	d.waiting.Add(1)
	d.ops.Push(f)
}

func (d *dispatcher) run() {
	defer close(d.stopped)
	var spare []func()
	for {
		select {
		case m := <-d.messages:
			spare = d.operate(spare)
			d.receive(m.Data)
			d.taken++
			for len(d.overdue) > 0 && d.overdue[0].behind <= d.taken {
				d.finish(d.overdue[0].token)
				d.overdue = d.overdue[1:]
			}
		case <-d.ops.Wake():
			spare = d.operate(spare)
		case <-d.stop:
			d.operate(spare)
			return
		}
	}
}

// operate runs the operations that wait.
func (d *dispatcher) operate(spare []func()) []func() {
	for d.waiting.Load() > 0 {
		list := d.ops.Take(spare)
		for i, f := range list {
			f()
			list[i] = nil
			d.waiting.Add(-1)
		}
		spare = list
	}
	return spare
}

// receive handles one message.
func (d *dispatcher) receive(data []byte) {
	kind, err := wire.Peek(data)
	if err == nil {
		switch kind {
		case wire.TypeBatch:
			err = d.batch(data)
		case wire.TypeBroadcast:
			err = d.broadcast(data)
		case wire.TypeControl:
			err = d.control(data)
		case wire.TypeMark:
			err = d.mark(data)
		case wire.TypeFence:
			err = d.fence(data)
		default:
			d.n.counters.unknown.Add(1) // of a later version
		}
	}
	if err != nil {
		d.n.corrupted(func(e *zerolog.Event) {
			e.Err(err).Int("bytes", len(data)).Msg("dropped a message that does not parse")
		})
	}
}

func (d *dispatcher) batch(data []byte) error {
	b, frames, err := wire.ParseBatch(data)
	if err == nil {
		d.deliver(b, frames, len(data))
	}
	return err
}

func (d *dispatcher) broadcast(data []byte) error {
	b, frames, listed, err := wire.ParseBroadcast(data, d.n.id.Incarnation)
	if err != nil || !listed {
		return err
	}
	if s := d.conns[b.Conn]; s != nil && b.First+uint64(b.Count) <= s.expect {
		// A topic and a wildcard that matches it are two subscriptions, and each brings the message.
		d.n.counters.twice.Add(uint64(b.Count))
		return nil
	}
	d.deliver(b, frames, len(data))
	return nil
}

// deliver hands the frames of one message on, in order, if they are the next of their session.
func (d *dispatcher) deliver(b wire.Batch, frames []byte, size int) {
	s := d.conns[b.Conn]
	if s == nil {
		d.n.counters.late.Add(uint64(b.Count))
		return
	}
	s.heard.Store(d.n.clock())
	if !s.up {
		d.raise(s)
	}
	if b.First < s.expect {
		// Nothing that the peer numbered: a real gap will show in the next number, or in a mark.
		d.n.corrupted(func(e *zerolog.Event) {
			e.Str("peer", s.peer.Name).Uint64("first", b.First).Uint64("want", s.expect).Msg("dropped frames with numbers of the past")
		})
		return
	}
	if b.First > s.expect {
		d.gap(s, b.First-s.expect, "frames are missing")
		return
	}
	for i := range b.Count {
		protocol, part, payload, rest, err := wire.NextFrame(frames)
		if err == nil {
			err = d.frame(s, Protocol(protocol), part, payload)
		}
		if err != nil {
			d.n.counters.corrupt.Add(1)
			d.gap(s, uint64(b.Count-i), err.Error())
			return
		}
		if !s.up {
			return // a handler's operation cannot end it, but a goodbye can
		}
		s.expect++
		frames = rest
	}
	s.received.Store(s.expect - 1)
	charged := s.charged.Add(wire.MessageCharge + uint64(size))
	if charged-s.ackedAt >= d.n.grant.Load()/4 {
		s.ackedAt = charged
		d.n.control.acknowledge(s, charged)
	}
}

// frame hands one frame on.
func (d *dispatcher) frame(s *session, p Protocol, part wire.Part, payload []byte) error {
	if part != wire.Whole {
		whole, complete, err := s.assemble(p, part, payload, d.n.cfg.MaxMessage)
		if err != nil || !complete {
			return err
		}
		payload = whole
	}
	if p == protocolSession {
		return d.announced(s, payload)
	}
	h := d.handlers[p]
	if h == nil || s.ready&(1<<p) == 0 {
		d.n.counters.unhandled.Add(1)
		return nil
	}
	d.n.counters.framesIn.Add(1)
	h.Frame(s.peer, payload)
	return nil
}

// protocolSession is the protocol of the session itself: each side tells which protocols it handles.
const protocolSession Protocol = 0

// announced takes over which protocols the peer handles, and tells our handlers of it.
func (d *dispatcher) announced(s *session, payload []byte) error {
	if len(payload) < 8 {
		return fmt.Errorf("%w: short announcement", wire.ErrCorrupt)
	}
	s.learn(binary.LittleEndian.Uint64(payload))
	d.introduce(s)
	return nil
}

// introduce calls PeerUp where both sides handle the protocol and it was not called yet.
func (d *dispatcher) introduce(s *session) {
	s.mu.Lock()
	both := s.spoken & d.handles
	s.mu.Unlock()
	for p := range d.handlers {
		if bit := uint64(1) << p; both&bit != 0 && s.ready&bit == 0 {
			s.ready |= bit
			d.handlers[p].PeerUp(s.peer)
		}
	}
}

func (d *dispatcher) announce(s *session) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], d.handles)
	_, _ = s.post(protocolSession, d.n.out, b[:]) // it fails only when the session is over
}

// install sets the handler of a protocol.
func (d *dispatcher) install(p Protocol, h Handler) error {
	if d.handlers[p] != nil {
		return fmt.Errorf("%w: protocol %d has a handler", ErrBadArgument, p)
	}
	d.handlers[p] = h
	d.handles |= 1 << p
	for _, s := range d.conns {
		if s.up {
			d.announce(s)
			d.introduce(s)
		}
	}
	return nil
}

// control handles a message of the ordered account that opens or ends a session.
func (d *dispatcher) control(data []byte) error {
	c, err := wire.DecodeOrderedControl(data)
	if err != nil {
		return err
	}
	if c.Verb != wire.Bye {
		d.n.control.receive(c, true)
		return nil
	}
	if s := d.conns[c.Conn]; s != nil && s.peer.Incarnation == c.From.Incarnation {
		why := membership.Ending(c.Why)
		d.n.control.end(c.Conn, why)
		d.lower(s, why, "the peer says goodbye")
	}
	return nil
}

// mark compares what was sent with what has arrived. Nothing can be late here: the mark came behind it.
func (d *dispatcher) mark(data []byte) error {
	conn, last, err := wire.ParseMark(data)
	if err != nil {
		return err
	}
	if s := d.conns[conn]; s != nil && s.up && last >= s.expect {
		d.gap(s, last-s.expect+1, "the last frames are missing")
	}
	return nil
}

// gap ends a session of which frames are missing.
func (d *dispatcher) gap(s *session, lost uint64, detail string) {
	d.n.counters.lost.Add(lost)
	evidence := fmt.Sprintf("%d frames of %s are lost: %s", lost, s.peer.Name, detail)
	d.n.log.Error().Str("peer", s.peer.Name).Uint64("lost", lost).Str("detail", detail).Msg("gap in a session")
	s.lostFrames = lost
	d.n.control.ended(s.peer.Conn, membership.Gap, evidence)
	d.lower(s, membership.Gap, evidence)
}

// fence completes the closing that it was sent for.
func (d *dispatcher) fence(data []byte) error {
	token, err := wire.ParseFence(data)
	if err != nil {
		return err
	}
	d.finish(token)
	return nil
}

// expire completes a closing whose fence is lost, or held up as everything is by a handler that takes long: behind what
// waits now.
func (d *dispatcher) expire(token uint64) {
	if _, ok := d.closing[token]; ok {
		d.overdue = append(d.overdue, overdue{token, d.taken + uint64(len(d.messages))})
	}
	if len(d.messages) == 0 {
		d.finish(token)
	}
}

func (d *dispatcher) finish(token uint64) {
	c, ok := d.closing[token]
	if !ok {
		return
	}
	delete(d.closing, token)
	if s := d.conns[c.conn]; s != nil {
		d.lower(s, c.why, c.evidence)
	}
}

// raise makes a session count: from here on the peer is in the lists.
func (d *dispatcher) raise(s *session) {
	if old := d.n.peers.Load().byName[s.peer.Name]; old != nil {
		// Its end waits for a fence, or nobody has noticed it yet: either way it comes first (NET-31).
		d.supersede(old)
	}
	s.up = true
	s.heard.Store(d.n.clock())
	if s.caller {
		d.start(s) // before anybody can send, or say goodbye
	}
	d.n.addPeer(s)
	d.n.control.opened(s)
	d.announce(s)
	d.n.log.Info().Str("peer", s.peer.ID.String()).Bool("hidden", s.peer.Hidden).Msg("nodeup")
	d.n.tell(Event{Up: true, Peer: s.peer, At: time.Now()})
}

// supersede ends a session that another one replaces, for the reason that was already found, if there is one.
func (d *dispatcher) supersede(old *session) {
	for token, c := range d.closing {
		if c.conn == old.peer.Conn {
			d.finish(token)
			return
		}
	}
	d.lower(old, membership.ConnectionClosed, "a new session of the same name is up")
}

// start sends the empty message that tells the other side that the session is up.
func (d *dispatcher) start(s *session) {
	s.mu.Lock()
	o := newOp(opBatch)
	o.session, o.buf = s, o.buf[:wire.BatchSize]
	s.queued += wire.MessageCharge + wire.BatchSize
	s.unsent += wire.BatchSize
	s.last = o
	d.n.out.push(o)
	s.mu.Unlock()
	d.n.out.wakeWriter()
}

// lower ends a session: what comes after is dropped and counted. The controller has heard of it before, or was asked
// first, so whoever finds the peer gone finds its table up to date.
func (d *dispatcher) lower(s *session, why membership.Why, evidence string) {
	if d.conns[s.peer.Conn] != s {
		return
	}
	delete(d.conns, s.peer.Conn)
	s.end()
	if !s.up {
		return
	}
	s.up = false
	d.n.removePeer(s)
	reason := Reason(why)
	for p := range d.handlers {
		if s.ready&(1<<p) != 0 {
			d.handlers[p].PeerDown(s.peer, reason)
		}
	}
	s.parts = nil
	d.n.log.Info().Str("peer", s.peer.ID.String()).Str("reason", string(reason)).Str("evidence", evidence).Msg("nodedown")
	d.n.tell(Event{Peer: s.peer, Reason: reason, Evidence: evidence, Lost: s.lostFrames, At: time.Now()})
}
