package benchmark

import (
	"context"
	"errors"
	"os"
	"time"

	procs "github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// isolationRounds is how many pairs of turns each load gets.
const isolationRounds = 3

// disturbance is a load on one pair of nodes, and what is done to its receiver meanwhile.
type disturbance struct {
	name string
	kind string
	// halt is how long the receiver is stopped at a time, and run how long it then runs. Zero: it is not stopped; a run of
	// zero: it is stopped all the time.
	halt, run time.Duration
	stopped   bool
}

// disturbances are those of which the others must not feel more than that the processors are busy.
var disturbances = []disturbance{
	{name: "slow", kind: loadMessages, halt: 45 * time.Millisecond, run: 5 * time.Millisecond},
	{name: "stream", kind: loadStream},
	{name: "frozen", kind: loadCalls, stopped: true},
}

// side is a pair of nodes that is put under load.
type side struct {
	from  *site // whom to ask for it
	name  string
	to    string
	sink  procs.PID
	onto  *process
	bytes []float64
}

// The pair whose calls are timed is either two nodes that have no part in the load, or the node that makes the load and
// a third one.
var timedPairs = []struct {
	name, from string
}{{"", fourth}, {"_sender", "a@127.0.0.1"}}

// The workers of the mesh: others, and one that only calls.
const fourth = "d@127.0.0.1"

// measureIsolation is what a load between a and b does to calls at c, beside what the same load does to them where it
// is between two processes that are no part of that mesh. The two take turns.
func measureIsolation(t *turn) error {
	inside, err := t.inside()
	if err != nil {
		return err
	}
	outside, err := t.outside()
	if err != nil {
		return err
	}
	defer outside.from.close()
	for _, d := range disturbances {
		if !canPause && (d.stopped || d.halt > 0) {
			continue // its figures are absent
		}
		if err := t.compare(inside, outside, d); err != nil {
			return err
		}
	}
	var calm []float64
	for range t.times(isolationRounds) {
		p99, err := t.callsFrom(fourth)
		if err != nil {
			return err
		}
		calm = append(calm, p99)
	}
	t.figures["isolation_idle_p99_us"] = median(calm)
	return nil
}

// compare lets the two sides be under one load in turns.
func (t *turn) compare(inside, outside *side, d disturbance) error {
	var within, beside [2][]float64
	inside.bytes = nil
	for range t.times(isolationRounds) {
		for i, pair := range timedPairs {
			for s, p99 := range map[*side]*[]float64{inside: &within[i], outside: &beside[i]} {
				got, err := t.disturb(s, d, pair.from)
				if err != nil {
					return err
				}
				*p99 = append(*p99, got)
			}
		}
	}
	for i, pair := range timedPairs {
		prefix := "isolation_" + d.name + pair.name
		t.figures[prefix+"_p99_us"], t.figures[prefix+"_ratio"] = median(within[i]), ratios(within[i], beside[i])
		t.say("%s%s: %.0f us with the load inside the mesh, %.0f outside", d.name, pair.name, within[i], beside[i])
	}
	if d.kind == loadStream {
		t.figures["isolation_stream_bytes_per_s"] = median(inside.bytes)
	}
	return nil
}

// ratios is the median of the ratios of turns that belong together.
func ratios(a, b []float64) float64 {
	var list []float64
	for i := range a {
		list = append(list, a[i]/b[i])
	}
	return median(list)
}

// inside is a pair within the mesh: this node and b; c is there to be called.
func (t *turn) inside() (*side, error) {
	if err := t.start(append(others, fourth)...); err != nil {
		return nil, err
	}
	s := &side{from: t.here, name: t.Name, to: others[0], onto: t.workers[0]}
	return s, s.prepare(t)
}

// outside is a pair of processes in a mesh of their own. A node of that mesh in this process tells them what to do.
func (t *turn) outside() (*side, error) {
	j := t.job
	dir, err := os.MkdirTemp(t.Dir, "outside-")
	if err != nil {
		return nil, err
	}
	j.Mesh, j.Dir, j.Topic, j.Peers = "outside", dir, "", 2
	names := []string{"x@127.0.0.1", "y@127.0.0.1"}
	first := len(t.workers)
	for _, j.Name = range names {
		w, err := launch(t.ctx, t.Program, j, t.log)
		if err != nil {
			return nil, err
		}
		t.workers = append(t.workers, w)
	}
	j.Name = "teller@127.0.0.1"
	teller, err := j.start(t.ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range t.workers[first:] {
		var ready bool
		if err := w.read(&ready); err != nil {
			teller.close()
			return nil, err
		}
	}
	s := &side{from: teller, name: names[0], to: names[1], onto: t.workers[first+1]}
	return s, s.prepare(t)
}

// prepare starts the process that takes messages.
func (s *side) prepare(t *turn) (err error) {
	s.sink, err = rpc.Call[int, procs.PID](t.ctx, s.from.calls, s.to, "bench.spawn", 0, rpc.Timeout(patience))
	return err
}

// settling is how long a load is under way before calls are timed.
const settling = 300 * time.Millisecond

// disturb times calls while a pair of nodes is under a load.
func (t *turn) disturb(s *side, d disturbance, caller string) (p99 float64, err error) {
	w := loadWish{Kind: d.kind, Node: s.to, Sink: s.sink}
	if _, err := rpc.Call[loadWish, bool](t.ctx, s.from.calls, s.name, "bench.load", w, rpc.Timeout(patience)); err != nil {
		return 0, err
	}
	began := time.Now()
	release := s.onto.hinder(d)
	time.Sleep(t.pace(settling))
	p99, err = t.callsFrom(caller)
	release()
	bytes, failed := rpc.Call[int, int64](t.ctx, s.from.calls, s.name, "bench.unload", 0, rpc.Timeout(patience))
	s.bytes = append(s.bytes, float64(bytes)/time.Since(began).Seconds())
	return p99, errors.Join(err, failed)
}

// hinder stops the process all the time or again and again, until release is called.
func (p *process) hinder(d disturbance) (release func()) {
	if !d.stopped && d.halt == 0 {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer p.resume()
		if d.stopped {
			p.pause()
			<-end
			return
		}
		for {
			p.pause()
			if !rest(d.halt, end) {
				return
			}
			p.resume()
			if !rest(d.run, end) {
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// rest waits for d, and says whether that was not cut short.
func rest(d time.Duration, end <-chan struct{}) bool {
	select {
	case <-time.After(d):
		return true
	case <-end:
		return false
	}
}

// callsFrom has one caller on a node call c, and returns the time that 99 of 100 calls take at most, in microseconds.
func (t *turn) callsFrom(caller string) (p99 float64, err error) {
	return ask[callWish, float64](t, caller, "calls", callWish{others[1], t.pace(1200 * time.Millisecond)})
}

// callWish asks a node to call another one for some time.
type callWish struct {
	Node string
	For  time.Duration
}

// timeCalls is what callsFrom asks for.
func (s *site) timeCalls(ctx context.Context, w callWish) (p99 float64, err error) {
	payload := make([]byte, payloadSize)
	times, err := timed(nil, w.For, func() error {
		_, err := rpc.Call[[]byte, []byte](ctx, s.calls, w.Node, "kith.echo", payload)
		return err
	})
	return quantile(times, 0.99, time.Microsecond), err
}
