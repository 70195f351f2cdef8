package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// session is one session with a peer. Its outgoing half is guarded by a lock, since any goroutine sends; its incoming
// half belongs to the dispatcher.
type session struct {
	peer    Peer
	info    wire.Info
	subject string // where the peer takes frames
	caller  bool   // this side opened it
	done    chan struct{}
	made    time.Time

	// mu guards the fields below.
	mu      sync.Mutex
	ended   bool
	parted  bool   // a goodbye is queued: nothing may come behind it
	window  uint64 // what the peer lets us have under way
	queued  uint64 // charge of all that was queued since the session began
	taken   uint64 // charge of all that the peer has handed on
	unsent  int    // bytes that wait in the outbox
	backlog []pending
	space   chan struct{} // closed when there is room again; nil if nobody waits
	last    *op           // the newest operation that concerns this session, while it can grow
	next    uint64        // number of the next frame to be published
	spoken  uint64        // protocols that the peer handles, one bit each
	spoke   chan struct{} // closed when spoken changes

	// sent is the number of the last frame published.
	sent atomic.Uint64
	// draining says that the peer is about to leave.
	draining atomic.Bool

	// The incoming half. The atomics are written by the dispatcher and read by the control loop.
	up       bool
	ready    uint64 // protocols whose PeerUp has run
	expect   uint64 // number of the next frame
	received atomic.Uint64
	charged  atomic.Uint64
	heard    atomic.Int64 // on the node's clock
	ackedAt  uint64       // charged, when the last acknowledgement left
	parts    map[uint64]*assembly

	lostFrames uint64 // the size of the gap that ended it
}

// pending is a frame that Post could not queue at once, since the window was full.
type pending struct {
	protocol Protocol
	payload  []byte
}

func newSession(p Peer, info wire.Info, window uint64, subject string) *session {
	return &session{
		peer: p, info: info, subject: subject, done: make(chan struct{}), made: time.Now(),
		window: window, next: 1, expect: 1, spoke: make(chan struct{}),
	}
}

// acked takes over what the peer has handed on and what it allows. It queues what Post had to keep back.
func (s *session) acked(taken, window uint64, out *outbox) {
	s.mu.Lock()
	if window > 0 {
		s.window = window
	}
	if taken > s.taken && taken <= s.queued {
		s.taken = taken
	}
	pushed := false
	for len(s.backlog) > 0 && !s.parted && s.room(wire.FrameSize(len(s.backlog[0].payload))) {
		f := s.backlog[0]
		s.backlog[0] = pending{}
		s.backlog = s.backlog[1:]
		pushed = s.append(f.protocol, wire.Whole, out, f.payload) || pushed
	}
	if s.space != nil && len(s.backlog) == 0 {
		close(s.space)
		s.space = nil
	}
	s.mu.Unlock()
	if pushed {
		out.wakeWriter()
	}
}

// room says whether a frame of n bytes fits the window. Something always fits into an empty one. The lock is held.
func (s *session) room(n int) bool {
	under := s.queued - s.taken
	return under == 0 || under+uint64(n)+wire.MessageCharge <= s.window
}

// append puts a frame into the newest operation, or into a fresh one, and reports whether the writer must be told.
// The lock is held.
func (s *session) append(p Protocol, part wire.Part, out *outbox, payload ...[]byte) bool {
	n := 0
	for _, b := range payload {
		n += len(b)
	}
	size := wire.FrameSize(n)
	s.unsent += size
	if o := s.last; o != nil && o.kind == opBatch && len(o.buf)+size <= maxBatch {
		o.buf = wire.AppendFrame(o.buf, byte(p), part, payload...)
		o.count++
		s.queued += uint64(size)
		return false
	}
	o := newOp(opBatch)
	o.session = s
	o.buf = wire.AppendFrame(o.buf[:wire.BatchSize], byte(p), part, payload...)
	o.count = 1
	s.queued += wire.MessageCharge + uint64(wire.BatchSize+size)
	s.unsent += wire.BatchSize
	s.last = o
	out.push(o)
	return true
}

// enqueue queues one frame, waiting for room: in the peer's window, and, unless it must not wait, in the outbox.
func (s *session) enqueue(ctx context.Context, flags SendFlags, p Protocol, part wire.Part, out *outbox, payload ...[]byte) error {
	n := 0
	for _, b := range payload {
		n += len(b)
	}
	s.mu.Lock()
	for {
		if s.closing() {
			s.mu.Unlock()
			return ErrNotConnected
		}
		ready := len(s.backlog) == 0 && s.room(wire.FrameSize(n))
		if ready && (s.unsent < maxUnsent || flags&NoWait != 0) {
			break
		}
		if flags&NoWait != 0 {
			s.mu.Unlock()
			return ErrWouldBlock
		}
		if s.space == nil {
			s.space = make(chan struct{})
		}
		space := s.space
		s.mu.Unlock()
		select {
		case <-space:
		case <-s.done:
			return ErrNotConnected
		case <-ctx.Done():
			return ctx.Err()
		}
		s.mu.Lock()
	}
	pushed := s.append(p, part, out, payload...)
	s.mu.Unlock()
	if pushed {
		out.started()
	}
	return nil
}

// post queues one frame without waiting. Where the window is full, it is kept back until there is room. It returns the
// number of frames that are kept back.
func (s *session) post(p Protocol, out *outbox, payload ...[]byte) (int, error) {
	n := 0
	for _, b := range payload {
		n += len(b)
	}
	s.mu.Lock()
	if s.closing() {
		s.mu.Unlock()
		return 0, ErrNotConnected
	}
	if len(s.backlog) > 0 || !s.room(wire.FrameSize(n)) {
		kept := make([]byte, 0, n)
		for _, b := range payload {
			kept = append(kept, b...)
		}
		s.backlog = append(s.backlog, pending{p, kept})
		kepts := len(s.backlog)
		s.mu.Unlock()
		return kepts, nil
	}
	pushed := s.append(p, wire.Whole, out, payload...)
	s.mu.Unlock()
	if pushed {
		out.wakeWriter()
	}
	return 0, nil
}

// end releases all who wait to send, and lets nothing further be queued.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	s.backlog = nil
	close(s.done)
}

// closing says whether nothing can be sent any more. The lock is held.
func (s *session) closing() bool { return s.ended || s.parted }

// over is closing, for those who do not hold the lock.
func (s *session) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing()
}

// idle says whether all that was queued has been handed on by the peer.
func (s *session) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended || (s.taken == s.queued && len(s.backlog) == 0)
}

// speaks says whether the peer handles a protocol, and returns a channel that is closed when that may have changed.
func (s *session) speaks(p Protocol) (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spoken&(1<<p) != 0, s.spoke
}

// learn takes over which protocols the peer handles and returns those that are new.
func (s *session) learn(protocols uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := protocols &^ s.spoken
	s.spoken |= protocols
	close(s.spoke)
	s.spoke = make(chan struct{})
	return fresh
}

// awaitProtocol waits until the peer handles p. A peer that has been up for protocolGrace without saying so does not
// speak it.
func (s *session) awaitProtocol(ctx context.Context, p Protocol, flags SendFlags) error {
	ok, changed := s.speaks(p)
	if ok {
		return nil
	}
	if flags&NoWait != 0 && time.Since(s.made) < protocolGrace {
		return ErrWouldBlock
	}
	timer := time.NewTimer(protocolGrace - time.Since(s.made))
	defer timer.Stop()
	for !ok {
		select {
		case <-changed:
		case <-s.done:
			return ErrNotConnected
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return ErrNoProtocol
		}
		ok, changed = s.speaks(p)
	}
	return nil
}

// protocolGrace is how long after its start a program may take to install the layers that others call.
const protocolGrace = time.Second
