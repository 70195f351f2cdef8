package meshtest

import (
	"errors"
	"io"
	"net"
	"time"
)

// flow is one direction of a wire. One goroutine reads into the queue, whatever the state of the way; another takes out
// of it what is due, while the way is open.
type flow struct {
	wire  *wire
	way   *way
	queue chan chunk // closed when the source has ended
	ended chan struct{}
	cause error // why the source ended, if it was not a regular end; set before queue and ended are closed
}

// chunk is what was read at once.
type chunk struct {
	data []byte
	due  time.Time // zero for at once
}

func newFlow(w *wire, way *way) *flow {
	return &flow{wire: w, way: way, queue: make(chan chunk, queueLength), ended: make(chan struct{})}
}

// read carries head and then src into the queue until src ends.
func (f *flow) read(src net.Conn, head []byte) {
	defer f.wire.sourceEnded()
	defer close(f.ended)
	defer close(f.queue)
	var last time.Time
	push := func(data []byte) bool {
		c := chunk{data: data}
		if d := f.way.currentDelay(); d > 0 || !last.IsZero() {
			// A shorter delay does not let later bytes overtake.
			c.due = time.Now().Add(d)
			if c.due.Before(last) {
				c.due = last
			}
			last = c.due
		}
		select {
		case f.queue <- c:
			return true
		case <-f.wire.done:
			return false
		}
	}
	if len(head) > 0 && !push(head) {
		return
	}
	buf := make([]byte, chunkSize)
	for {
		n, err := src.Read(buf)
		if n > 0 && !push(append([]byte(nil), buf[:n]...)) {
			return
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				f.cause = err
			}
			return
		}
	}
}

// awaitOpen waits until bytes may pass. It reports false when the wire is to end at once, or when both ends are gone, so
// that there is nobody left to deliver to.
func (f *flow) awaitOpen() bool {
	open := f.way.gate()
	select {
	case <-open:
		return true
	default:
	}
	select {
	case <-open:
		return true
	case <-f.wire.done:
	case <-f.wire.bothEnded:
	}
	return false
}

// awaitFirst waits until the first bytes may pass. It reports false when the dialler hung up before they could.
func (f *flow) awaitFirst() bool {
	open := f.way.gate()
	select {
	case <-open:
		return true
	default:
	}
	select {
	case <-open:
		return true
	case <-f.wire.done:
	case <-f.ended:
	}
	return false
}

// write carries the queue to dst, and then the way the source ended: a regular end of the stream, or a reset.
func (f *flow) write(dst net.Conn) {
	for c := range f.queue {
		if !f.awaitDue(c.due) || !f.awaitOpen() {
			return
		}
		if _, err := dst.Write(c.data); err != nil {
			// The other direction sees why, and carries it on when it may.
			f.discard()
			return
		}
		f.way.bytes.Add(int64(len(c.data)))
	}
	if !f.awaitOpen() {
		return
	}
	if f.cause != nil {
		f.wire.reset()
		return
	}
	if tcp, ok := dst.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

func (f *flow) discard() {
	for range f.queue {
	}
}

func (f *flow) awaitDue(due time.Time) bool {
	if due.IsZero() {
		return true
	}
	wait := time.Until(due)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.wire.done:
		return false
	}
}
