package benchmark

import (
	"fmt"
	"time"

	"github.com/kith-mesh/kith/pg"
	procs "github.com/kith-mesh/kith/process"
)

// The workers of the group's mesh.
var others = []string{"b@127.0.0.1", "c@127.0.0.1"}

// measureGroups is broadcasts to few and to many members, and joins.
func measureGroups(t *turn) error {
	if err := t.start(others...); err != nil {
		return err
	}
	for _, step := range []func() error{t.broadcasts, t.joinVisible, t.joins, t.fanout} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// scope starts a scope on all nodes.
func (t *turn) scope(name string) (*pg.Scope, error) {
	for _, w := range others {
		if _, err := ask[string, bool](t, w, "scope", name); err != nil {
			return nil, err
		}
	}
	return t.here.groups.Scope(name)
}

// stopScope ends a scope on all nodes, and waits until nobody sees a member.
func (t *turn) stopScope(name string) error {
	for _, w := range others {
		if _, err := ask[string, bool](t, w, "stop_scope", name); err != nil {
			return err
		}
	}
	if s, ok := t.here.groups.Lookup(name); ok {
		s.Stop()
	}
	return nil
}

// broadcasts is 10 members on each of 2 other nodes.
func (t *turn) broadcasts() error {
	const each = 10
	s, err := t.scope("broadcast")
	if err != nil {
		return err
	}
	for _, w := range others {
		if _, err := ask[members, bool](t, w, "join", members{"broadcast", "g", each}); err != nil {
			return err
		}
	}
	if err := wait(t.ctx, func() bool { return s.Count("g").Members == each*len(others) }); err != nil {
		return err
	}
	if err := t.startRaw(each, others...); err != nil {
		return err
	}
	flow, err := t.flow(each, others...)
	if err != nil {
		return err
	}
	var kith, bare []float64
	payload := make([]byte, payloadSize)
	for round := range t.times(rounds) + 1 {
		a, err := flow.run(t.pace(700*time.Millisecond), payload)
		if err != nil {
			return err
		}
		b, err := t.broadcastFor(t.pace(700*time.Millisecond), s, payload, each, 0)
		if err != nil {
			return err
		}
		if round > 0 {
			bare, kith = append(bare, a*float64(len(others))), append(kith, b)
		}
	}
	t.say("broadcasts: done")
	t.figures["pg_broadcast_deliveries_per_s"], t.figures[raw+"pg_broadcast_deliveries_per_s"] = median(kith), median(bare)
	return t.stopScope("broadcast")
}

// broadcastFor broadcasts for as long as d, and returns how many messages a second the members have received: each on
// every other node, and here on this one.
func (t *turn) broadcastFor(d time.Duration, s *pg.Scope, payload []byte, each, here int64, to ...string) (float64, error) {
	if len(to) == 0 {
		to = others
	}
	t.here.sinks.got.Store(0)
	for _, w := range to {
		if _, err := ask[int, bool](t, w, "reset", 0); err != nil {
			return 0, err
		}
	}
	var sent, missed int64
	begin := time.Now()
	for time.Since(begin) < d {
		got, err := s.Broadcast(t.ctx, "g", payload)
		if err != nil {
			return 0, err
		}
		sent++
		missed += int64(len(got.Skipped))
	}
	if missed > 0 {
		return 0, fmt.Errorf("%w: %d nodes were skipped", errLost, missed)
	}
	if err := wait(t.ctx, func() bool { return t.here.sinks.got.Load() >= sent*here }); err != nil {
		return 0, err
	}
	for _, w := range to {
		if _, err := ask[int64, int64](t, w, "count", sent*each); err != nil {
			return 0, err
		}
	}
	return float64(sent*(each*int64(len(to))+here)) / time.Since(begin).Seconds(), nil
}

// joinVisible is the time from asking a process of another node to join until a monitor here has told of it. What a
// monitor tells is in the table already.
func (t *turn) joinVisible() error {
	s, err := t.scope("visible")
	if err != nil {
		return err
	}
	pid, err := ask[members, procs.PID](t, others[0], "joiner", members{Scope: "visible", Group: "g"})
	if err != nil {
		return err
	}
	m, _ := s.Monitor("g")
	defer m.Close()
	turn := func() error {
		if err := t.here.rt.Send(t.ctx, pid, "now"); err != nil {
			return err
		}
		select {
		case <-m.Events():
			return nil
		case <-t.ctx.Done():
			return t.ctx.Err()
		}
	}
	var joined []time.Duration
	for begin := time.Now(); time.Since(begin) < t.pace(2*time.Second); {
		at := time.Now()
		if err := turn(); err != nil {
			return err
		}
		joined = append(joined, time.Since(at))
		if err := turn(); err != nil { // and out again
			return err
		}
	}
	t.say("join to visible: done")
	t.figures["pg_join_visible_p50_us"] = quantile(joined, 0.5, time.Microsecond)
	return t.stopScope("visible")
}

// joins is one process that joins group after group, until all three nodes see them all.
func (t *turn) joins() error {
	count := t.many(50_000)
	groups := make([]string, count)
	for i := range groups {
		groups[i] = fmt.Sprint("group", i)
	}
	pid := t.here.spawn()
	var rates []float64
	for round := range t.times(rounds) {
		name := fmt.Sprint("joins", round)
		s, err := t.scope(name)
		if err != nil {
			return err
		}
		begin := time.Now()
		for _, g := range groups {
			if err := s.Join(g, pid); err != nil {
				return err
			}
		}
		for _, w := range others {
			if _, err := ask[members, bool](t, w, "groups", members{Scope: name, Count: count}); err != nil {
				return err
			}
		}
		rates = append(rates, float64(count)/time.Since(begin).Seconds())
		if err := t.stopScope(name); err != nil {
			return err
		}
	}
	t.say("joins: done")
	t.figures["pg_joins_per_s"] = median(rates)
	return nil
}

// fanout is 5,000 members here and 5,000 on another node.
func (t *turn) fanout() error {
	const each = 5_000
	s, err := t.scope("fanout")
	if err != nil {
		return err
	}
	m := members{"fanout", "g", each}
	if err := t.here.join(m); err != nil {
		return err
	}
	if _, err := ask[members, bool](t, others[0], "join", m); err != nil {
		return err
	}
	if err := wait(t.ctx, func() bool { return s.Count("g").Members == 2*each }); err != nil {
		return err
	}
	var rates []float64
	for round := range t.times(rounds) + 1 {
		rate, err := t.broadcastFor(t.pace(time.Second), s, make([]byte, payloadSize), each, each, others[0])
		if err != nil {
			return err
		}
		if round > 0 {
			rates = append(rates, rate)
		}
	}
	t.say("fan-out: done")
	t.figures["pg_fanout_deliveries_per_s"] = median(rates)
	return nil
}
