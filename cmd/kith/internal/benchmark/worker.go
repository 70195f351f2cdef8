package benchmark

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	procs "github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// patience bounds each wait of a measurement.
const patience = 60 * time.Second

// sinks count what processes of this node have received.
type sinks struct{ got atomic.Int64 }

// spawn starts a process that counts what it receives.
func (s *site) spawn() procs.PID {
	return s.rt.Spawn(func(self *procs.Process) error {
		for {
			if _, err := self.Receive(self.Context()); err != nil {
				return nil
			}
			s.sinks.got.Add(1)
		}
	})
}

// members is a wish for counting processes in a group.
type members struct {
	Scope, Group string
	Count        int
}

// registration is a wish for names.
type registration struct {
	Prefix         string
	Count, Callers int
}

// serve registers what the measuring process asks of a worker.
func (s *site) serve() error {
	return errors.Join(
		rpc.Register(s.calls, "bench.spawn", func(context.Context, int) (procs.PID, error) { return s.spawn(), nil }),
		rpc.Register(s.calls, "bench.count", func(ctx context.Context, want int64) (int64, error) {
			err := wait(ctx, func() bool { return s.sinks.got.Load() >= want })
			return s.sinks.got.Load(), err
		}),
		rpc.Register(s.calls, "bench.reset", func(context.Context, int) (bool, error) { s.sinks.got.Store(0); return true, nil }),
		rpc.Register(s.calls, "bench.scope", func(_ context.Context, name string) (bool, error) {
			_, err := s.groups.Scope(name)
			return true, err
		}),
		rpc.Register(s.calls, "bench.stop_scope", func(_ context.Context, name string) (bool, error) {
			if scope, ok := s.groups.Lookup(name); ok {
				scope.Stop()
			}
			return true, nil
		}),
		rpc.Register(s.calls, "bench.join", func(_ context.Context, m members) (bool, error) { return true, s.join(m) }),
		rpc.Register(s.calls, "bench.groups", func(ctx context.Context, m members) (bool, error) {
			scope, err := s.groups.Scope(m.Scope)
			if err != nil {
				return false, err
			}
			return true, wait(ctx, func() bool { return scope.GroupCount() == m.Count })
		}),
		rpc.Register(s.calls, "bench.joiner", func(_ context.Context, m members) (procs.PID, error) { return s.joiner(m) }),
		rpc.Register(s.calls, "bench.names", func(ctx context.Context, want int) (bool, error) {
			return true, wait(ctx, func() bool { return s.names.Stats().Names == want })
		}),
		rpc.Register(s.calls, "bench.sightings", func(_ context.Context, prefix string) (bool, error) {
			s.seen.watch(s.names, prefix)
			return true, nil
		}),
		rpc.Register(s.calls, "bench.seen", func(ctx context.Context, count int) (map[string]int64, error) {
			err := wait(ctx, func() bool { return s.seen.count() == count })
			return s.seen.all(), err
		}),
		rpc.Register(s.calls, "bench.heap", func(context.Context, int) (float64, error) { return heap(), nil }),
		rpc.Register(s.calls, "bench.register", func(ctx context.Context, r registration) (bool, error) {
			return true, s.register(ctx, r)
		}),
		rpc.Register(s.calls, "bench.calls", s.timeCalls),
		rpc.Register(s.calls, "bench.load", func(_ context.Context, w loadWish) (bool, error) { return true, s.startLoad(w) }),
		rpc.Register(s.calls, "bench.unload", func(context.Context, int) (int64, error) { return s.load.stop(), nil }),
		rpc.Register(s.calls, "bench.gather", s.gather),
		rpc.Register(s.calls, "bench.speak", s.speak),
		rpc.Register(s.calls, "bench.raw", func(_ context.Context, w rawWish) (string, error) { return s.startRaw(w) }),
	)
}

// ask calls a function of a worker.
func ask[Req, Resp any](t *turn, name, fn string, req Req) (Resp, error) {
	return rpc.Call[Req, Resp](t.ctx, t.here.calls, name, "bench."+fn, req, rpc.Timeout(patience))
}

// wait waits until ok holds, without much load.
func wait(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// join makes counting processes join a group.
func (s *site) join(m members) error {
	scope, err := s.groups.Scope(m.Scope)
	if err != nil {
		return err
	}
	var list []procs.PID
	for range m.Count {
		list = append(list, s.spawn())
	}
	return scope.Join(m.Group, list...)
}

// joiner starts a process that joins and leaves a group in turn, once for each message.
func (s *site) joiner(m members) (procs.PID, error) {
	scope, err := s.groups.Scope(m.Scope)
	if err != nil {
		return procs.PID{}, err
	}
	return s.rt.Spawn(func(self *procs.Process) error {
		for joined := false; ; joined = !joined {
			if _, err := self.Receive(self.Context()); err != nil {
				return nil
			}
			change := scope.Join
			if joined {
				change = scope.Leave
			}
			if err := change(m.Group, self.PID()); err != nil {
				return err
			}
		}
	}), nil
}

// register registers many names at once.
func (s *site) register(ctx context.Context, r registration) error {
	pid := s.spawn()
	var next atomic.Int64
	var mu sync.Mutex // guards the field below
	var failed error
	var wg sync.WaitGroup
	for range r.Callers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(r.Count); i = next.Add(1) {
				if err := s.names.Register(ctx, fmt.Sprint(r.Prefix, i), pid); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed = err
					return
				}
			}
		})
	}
	wg.Wait()
	return failed
}
