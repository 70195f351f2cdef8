package rpc

import (
	"context"
	"sync"
)

// creditGate counts how many items a stream may still send.
type creditGate struct {
	wake chan struct{} // has room for one; gets a value when there is credit again

	mu sync.Mutex // guards the field below
	n  uint64
}

func newCreditGate(n uint64) *creditGate {
	return &creditGate{n: n, wake: make(chan struct{}, 1)}
}

// add gives credit for n more items.
func (g *creditGate) add(n uint64) {
	g.mu.Lock()
	g.n = min(g.n+n, maxCredit)
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// take uses credit for one item, and waits for it within ctx. Only one goroutine may call it.
func (g *creditGate) take(ctx context.Context) error {
	for {
		g.mu.Lock()
		if g.n > 0 {
			g.n--
			g.mu.Unlock()
			return nil
		}
		g.mu.Unlock()
		select {
		case <-g.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stream sends what items yields, at the pace of the caller's credit. It returns the error that ended it, nil at the
// regular end.
func (sv *serving) stream(items Items) error {
	if err := sv.emit(frame{kind: frameOpened, id: sv.id}); err != nil {
		return err
	}
	for v, err := range items {
		if err != nil {
			return err
		}
		if err := sv.gate.take(&sv.callContext); err != nil {
			return err
		}
		if err := sv.emitItem(v); err != nil {
			return err
		}
	}
	return sv.Err()
}

func (sv *serving) emitItem(v any) error {
	out := outcome{payload: payload{value: v, direct: true}}
	if !sv.local || !sv.req.arg.direct {
		if out = sv.encode(v); out.err != nil {
			return out.err
		}
	}
	if !sv.local {
		return sv.emit(frame{kind: frameItem, id: sv.id, content: out.ct, payload: out.data})
	}
	if st, ok := sv.s.streams.peek(sv.id, sv.s.self.Name); ok {
		st.push(out)
	}
	return nil
}

// emit sends a frame of the stream to the caller, or what it stands for to a reader on this node.
func (sv *serving) emit(f frame) error {
	if !sv.local {
		return sv.send(f)
	}
	if st, ok := sv.s.streams.peek(sv.id, sv.s.self.Name); ok {
		st.open()
	}
	return nil
}
