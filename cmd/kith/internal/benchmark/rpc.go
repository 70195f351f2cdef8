package benchmark

import (
	"time"

	"github.com/kith-mesh/kith/rpc"
)

const (
	payloadSize = 128
	callers     = 64
	// rounds is how many turns each side gets. It is odd, for the median.
	rounds = 5
	// warmUp is how long the work is done before it is measured.
	warmUp = 300 * time.Millisecond
)

// measureRPC is calls to another process, and on the same node.
func measureRPC(t *turn) error {
	if err := t.start("b@127.0.0.1"); err != nil {
		return err
	}
	echo, err := t.rawRequests()
	if err != nil {
		return err
	}
	payload := make([]byte, payloadSize)
	call := func(name string) func() error {
		return func() error {
			_, err := rpc.Call[[]byte, []byte](t.ctx, t.here.calls, name, "kith.echo", payload)
			return err
		}
	}
	sides := []struct {
		prefix string
		call   func() error
		times  []time.Duration
		rates  []float64
	}{{prefix: raw, call: echo}, {call: call("b@127.0.0.1")}}
	for round := range t.times(rounds) + 1 {
		for i := range sides {
			side := &sides[i]
			if round == 0 {
				if _, err := parallel(callers, t.pace(warmUp), side.call); err != nil {
					return err
				}
				continue
			}
			if side.times, err = timed(side.times, t.pace(500*time.Millisecond), side.call); err != nil {
				return err
			}
			rate, err := parallel(callers, t.pace(800*time.Millisecond), side.call)
			if err != nil {
				return err
			}
			side.rates = append(side.rates, rate)
		}
		t.say("round %d of %d", round, t.times(rounds))
	}
	for _, side := range sides {
		t.figures[side.prefix+"rpc_remote_p50_us"] = quantile(side.times, 0.50, time.Microsecond)
		t.figures[side.prefix+"rpc_remote_p99_us"] = quantile(side.times, 0.99, time.Microsecond)
		t.figures[side.prefix+"rpc_parallel_per_s"] = median(side.rates)
	}
	local, err := timed(nil, t.pace(time.Second), call("a@127.0.0.1"))
	t.figures["rpc_local_p50_us"] = quantile(local, 0.50, time.Microsecond)
	return err
}
