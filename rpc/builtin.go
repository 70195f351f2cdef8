package rpc

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"runtime"
	"time"

	"github.com/kith-mesh/kith/internal/version"
)

// registerBuiltins registers the functions that every node serves and that need nothing beyond this package.
func (s *Server) registerBuiltins() error {
	for _, b := range []struct {
		name string
		f    HandlerFunc
	}{
		{"kith.echo", echo},
		{"kith.sum", sum},
		{"kith.sleep", sleep},
		{"kith.info", s.answerInfo},
	} {
		if err := s.Register(b.name, b.f); err != nil {
			return err
		}
	}
	return nil
}

// echo returns its argument.
func echo(_ context.Context, r *Request) (any, error) { return r.arg.asValue(), nil }

// sum adds a list of numbers. Integers are added exactly, however large; with a float among them all become floats.
func sum(_ context.Context, r *Request) (any, error) {
	var v any
	if err := r.Decode(&v); err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, fmt.Errorf("%w: want a list of numbers", ErrBadArgument)
	}
	whole, float, isFloat := new(big.Int), 0.0, false
	for _, v := range list {
		switch n := v.(type) {
		case int64:
			whole.Add(whole, big.NewInt(n))
		case *big.Int:
			whole.Add(whole, n)
		case big.Int:
			whole.Add(whole, &n)
		case float64:
			float, isFloat = float+n, true
		default:
			return nil, fmt.Errorf("%w: want a list of numbers, not of %T", ErrBadArgument, v)
		}
	}
	switch {
	case isFloat:
		f, _ := new(big.Float).SetInt(whole).Float64()
		return float + f, nil
	case whole.IsInt64():
		return whole.Int64(), nil
	}
	return whole, nil
}

// sleep waits for its argument in milliseconds, or until the call is cancelled, and returns it.
func sleep(ctx context.Context, r *Request) (any, error) {
	var ms float64
	if err := r.Decode(&ms); err != nil {
		return nil, err
	}
	if ms < 0 || ms > float64(maxTimeout/time.Millisecond) {
		return nil, fmt.Errorf("%w: cannot sleep for %v ms", ErrBadArgument, ms)
	}
	t := time.NewTimer(time.Duration(ms * float64(time.Millisecond)))
	defer t.Stop()
	select {
	case <-t.C:
		return r.arg.asValue(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Info is what kith.info answers.
type Info struct {
	// Name and Incarnation are those of the node; the incarnation is 16 hexadecimal digits.
	Name        string `json:"name"`
	Incarnation string `json:"incarnation"`
	// Versions are those of kith, go and nats-server, as far as the program knows them.
	Versions map[string]string `json:"versions"`
	// Uptime is for how long the node's server has run, in seconds.
	Uptime float64 `json:"uptime_s"`
	// Goroutines is their number.
	Goroutines int `json:"goroutines"`
	// Functions are those that the node serves, sorted.
	Functions []string `json:"functions"`
	// Counters are the Stats of this package under "rpc", and what SetInfo added.
	Counters map[string]any `json:"counters"`
}

// SetInfo adds a part to the counters that kith.info answers, or replaces it: each time, f is called, on any
// goroutine, and what it returns is shown under the name part. A nil f removes it.
func (s *Server) SetInfo(part string, f func() any) {
	s.infoMu.Lock()
	defer s.infoMu.Unlock()
	if s.info == nil {
		s.info = make(map[string]func() any)
	}
	if f == nil {
		delete(s.info, part)
		return
	}
	s.info[part] = f
}

func (s *Server) answerInfo(context.Context, *Request) (any, error) {
	s.infoMu.Lock()
	parts := maps.Clone(s.info)
	s.infoMu.Unlock()
	counters := map[string]any{"rpc": s.Stats()}
	for part, f := range parts {
		counters[part] = f()
	}
	return Info{
		Name: s.self.Name, Incarnation: fmt.Sprintf("%016x", s.self.Incarnation), Versions: versions(),
		Uptime: time.Since(s.clock.start).Seconds(), Goroutines: runtime.NumGoroutine(),
		Functions: s.Functions(), Counters: counters,
	}, nil
}

// versions are those of the program's parts that matter between nodes.
func versions() map[string]string {
	return map[string]string{"kith": version.Kith(), "go": runtime.Version(), "nats-server": version.Of(version.NATSServer)}
}
