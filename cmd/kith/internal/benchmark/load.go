package benchmark

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	procs "github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// The loads that one pair of nodes is under while another pair is measured.
const (
	// loadMessages is as many messages of 128 bytes as the receiver lets through.
	loadMessages = "messages"
	// loadStream is messages of 64 KiB, as many as a network of 1 Gbit/s takes: what has no pace of its own would not be the
	// same load twice.
	loadStream = "stream"
	// loadCalls is 64 callers, each of whom waits for loadPatience and calls again.
	loadCalls = "calls"
)

const (
	streamPiece  = 64 << 10
	streamPace   = 100_000_000 // bytes a second
	loadPatience = 500 * time.Millisecond
)

// loadWish asks a node to put a load on another one.
type loadWish struct {
	Kind string
	Node string
	Sink procs.PID // takes messages on Node
}

// load is what a node has under way. Its zero value is none.
type load struct {
	mu     sync.Mutex // guards the field below
	cancel context.CancelFunc
	wg     sync.WaitGroup
	bytes  atomic.Int64
}

var errLoaded = errors.New("the node has a load already")

// startLoad begins a load and returns at once.
func (s *site) startLoad(w loadWish) error {
	s.load.mu.Lock()
	defer s.load.mu.Unlock()
	if s.load.cancel != nil {
		return errLoaded
	}
	ctx, cancel := context.WithCancel(s.node.Context())
	s.load.cancel = cancel
	s.load.bytes.Store(0)
	switch w.Kind {
	case loadMessages:
		s.load.wg.Go(func() { s.pour(ctx, w.Sink) })
	case loadStream:
		s.load.wg.Go(func() { s.stream(ctx, w.Sink) })
	case loadCalls:
		for range callers {
			s.load.wg.Go(func() { s.callAgain(ctx, w.Node) })
		}
	}
	return nil
}

// pour sends until it is told to stop.
func (s *site) pour(ctx context.Context, to procs.PID) {
	piece := make([]byte, payloadSize)
	for s.rt.Send(ctx, to, piece) == nil && ctx.Err() == nil {
		s.load.bytes.Add(int64(len(piece)))
	}
}

// stream sends at its pace until it is told to stop.
func (s *site) stream(ctx context.Context, to procs.PID) {
	piece := make([]byte, streamPiece)
	for began := time.Now(); s.rt.Send(ctx, to, piece) == nil && ctx.Err() == nil; {
		sent := s.load.bytes.Add(int64(len(piece)))
		time.Sleep(time.Duration(sent)*time.Second/streamPace - time.Since(began))
	}
}

// callAgain calls, whatever comes of it, until it is told to stop.
func (s *site) callAgain(ctx context.Context, name string) {
	payload := make([]byte, payloadSize)
	for ctx.Err() == nil {
		if _, err := rpc.Call[[]byte, []byte](ctx, s.calls, name, "kith.echo", payload, rpc.Timeout(loadPatience)); err == nil {
			s.load.bytes.Add(payloadSize)
		}
	}
}

// stop ends what is under way, and returns how many bytes it brought.
func (l *load) stop() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel == nil {
		return 0
	}
	l.cancel()
	l.wg.Wait()
	l.cancel = nil
	return l.bytes.Load()
}
