package node

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// outbox is the one writer of the ordered account (decision 6). Operations leave in the order in which they were
// pushed. While one is being published, frames gather in the next: that is the coalescing of decision 13, and needs no
// timer.
//
// An operation that is pushed while nothing is under way is published by the goroutine that pushed it, which saves a
// hand-off where a single caller waits for its answer. Under load the writer goroutine takes over.
type outbox struct {
	publish func(subject string, data []byte) error
	failed  func(error)
	clock   func() int64
	wake    chan struct{}
	stop    chan struct{}
	stopped chan struct{}

	// mu guards the fields below.
	mu    sync.Mutex
	queue []*op
	busy  bool // somebody is publishing
	// closed says that nothing is to leave any more.
	closed bool
	last   int64 // when that ended, on the node's clock
}

const (
	// maxBatch is where a message stops growing: about what fits the loopback's buffers at once.
	maxBatch = 64 << 10
	// maxUnsent is how many bytes of one session may wait for the writer before its senders wait too. All sessions share the
	// writer: without it, whoever streams to one peer has a window of megabytes ahead of everybody else's next frame.
	maxUnsent = 2 * maxBatch
	// quiet is how long nothing must have been published for a sender to publish by itself.
	quiet = int64(8 * time.Microsecond)
)

type opKind uint8

const (
	opBatch     opKind = iota // frames of one session
	opBroadcast               // frames of one topic, for several sessions
	opRaw                     // a message without a number: a goodbye, or an opening, which concerns no session
	opMark                    // a mark behind what was sent in a session
	opSignal                  // nothing: somebody waits for what is before it
)

// op is one message to be published. Its fields are guarded by the locks of all sessions that it concerns, until the
// writer has sealed it.
type op struct {
	kind    opKind
	session *session      // of a batch, a raw message or a mark
	targets []*session    // of a broadcast
	subject string        // of a broadcast or a raw message
	buf     []byte        // room for the header, then the frames
	count   uint32        // frames
	reached chan struct{} // of a signal: closed once all before it was published
}

var ops = sync.Pool{New: func() any { return &op{buf: make([]byte, 0, 1024)} }}

func newOp(k opKind) *op {
	o := ops.Get().(*op)
	*o = op{kind: k, buf: o.buf[:0]}
	if cap(o.buf) < wire.BatchSize {
		o.buf = make([]byte, 0, 1024)
	}
	return o
}

func (o *op) free() {
	if cap(o.buf) <= maxWhole+maxBatch {
		o.session, o.targets = nil, nil
		ops.Put(o)
	}
}

func newOutbox(publish func(string, []byte) error, clock func() int64, failed func(error)) *outbox {
	return &outbox{
		publish: publish, failed: failed, clock: clock,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// push appends an operation. The locks of its sessions are held; the caller then calls started or wakeWriter without
// them.
func (b *outbox) push(o *op) {
	b.mu.Lock()
	if !b.closed {
		b.queue = append(b.queue, o)
	}
	b.mu.Unlock()
}

// started publishes what was pushed, now if nothing is under way, else through the writer.
func (b *outbox) started() {
	b.mu.Lock()
	if b.busy || len(b.queue) != 1 || b.clock()-b.last < quiet {
		b.mu.Unlock()
		b.wakeWriter()
		return
	}
	o := b.queue[0]
	b.queue[0] = nil
	b.queue = b.queue[:0]
	b.busy = true
	b.mu.Unlock()
	b.send(o)
	if b.finish() {
		b.wakeWriter()
	}
}

// finish ends a publication and says whether there is more.
func (b *outbox) finish() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = false
	b.last = b.clock()
	return len(b.queue) > 0
}

// wakeWriter has the writer look. It never blocks.
func (b *outbox) wakeWriter() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// run is the writer.
func (b *outbox) run() {
	defer close(b.stopped)
	var batch []*op
	for {
		select {
		case <-b.wake:
		case <-b.stop:
			return
		}
		for {
			// Whoever is ready to run may add to what is about to leave.
			runtime.Gosched()
			b.mu.Lock()
			if b.busy || len(b.queue) == 0 {
				b.mu.Unlock()
				break
			}
			batch, b.queue = b.queue, batch[:0]
			b.busy = true
			b.mu.Unlock()
			for i, o := range batch {
				b.send(o)
				batch[i] = nil
			}
			b.finish()
		}
	}
}

// await waits until what was pushed so far has been published, the end, or ctx.
func (b *outbox) await(ctx context.Context) {
	o, reached := newOp(opSignal), make(chan struct{})
	o.reached = reached
	b.push(o)
	b.wakeWriter()
	select {
	case <-reached:
	case <-b.stop:
	case <-ctx.Done():
	}
}

// close ends the writer, without what is still queued. Nothing leaves afterwards.
func (b *outbox) close() {
	b.mu.Lock()
	b.closed, b.queue = true, nil
	b.mu.Unlock()
	close(b.stop)
	<-b.stopped
}

// send seals one operation, numbers its frames and publishes it.
func (b *outbox) send(o *op) {
	var err error
	switch o.kind {
	case opBatch:
		s := o.session
		first := s.seal(o)
		wire.PutBatch(o.buf[:wire.BatchSize], wire.Batch{Conn: s.peer.Conn, First: first, Count: o.count})
		err = b.publish(s.subject, o.buf)
	case opBroadcast:
		err = b.publish(o.subject, o.sealBroadcast())
	case opRaw:
		if o.session != nil {
			o.session.letGo(o)
		}
		err = b.publish(o.subject, o.buf)
	case opMark:
		s := o.session
		err = b.publish(s.subject, wire.AppendMark(o.buf, s.peer.Conn, s.sent.Load()))
	case opSignal:
		close(o.reached)
	}
	o.free()
	if err != nil {
		b.failed(err)
	}
}

// seal takes the operation from the session, so that nothing is added to it, and numbers its frames.
func (s *session) seal(o *op) (first uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(o)
	s.unsent -= len(o.buf)
	if s.space != nil && s.unsent <= maxUnsent/2 && len(s.backlog) == 0 && s.queued-s.taken < s.window {
		close(s.space)
		s.space = nil
	}
	first = s.next
	s.next += uint64(o.count)
	s.sent.Store(s.next - 1)
	return first
}

// letGo takes an operation without a number from the session. Whatever was sent would otherwise gather in it once it
// is in use again, for somebody else.
func (s *session) letGo(o *op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(o)
}

func (s *session) forget(o *op) {
	if s.last == o {
		s.last = nil
	}
}

// sealBroadcast numbers the frames in every listed session and returns the whole message. Nobody can add to the
// operation once the first of its sessions has let go of it, since that takes the locks of all.
func (o *op) sealBroadcast() []byte {
	entries := make([]wire.Entry, len(o.targets))
	for i, s := range o.targets {
		entries[i] = wire.Entry{Incarnation: s.peer.Incarnation, Conn: s.peer.Conn, First: 0}
	}
	// The first lock closes the operation: the count is final behind it.
	for i, s := range o.targets {
		entries[i].First = s.seal(o)
	}
	return wire.PutBroadcast(o.buf, entries, o.count)
}
