package benchmark

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/kith-mesh/kith/global"
)

// measureGlobal is names in both modes, each measure on a mesh of its own.
func measureGlobal(t *turn) error {
	for _, part := range []struct {
		name    string
		measure func(*turn) error
	}{{"names", measureNames}, {"100,000 names", measureTable}, {"quorum", measureQuorum}} {
		own := *t
		var err error
		if own.Dir, err = os.MkdirTemp(t.Dir, "global-"); err != nil {
			return err
		}
		err = part.measure(&own)
		own.close()
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		t.say("%s: done", part.name)
	}
	return nil
}

// measureNames is names registered across three nodes.
func measureNames(t *turn) error {
	if err := t.start(others...); err != nil {
		return err
	}
	names := t.here.names
	pid := t.here.spawn()
	i := 0
	times, err := timed(nil, t.pace(2*time.Second), func() error {
		i++
		return names.Register(t.ctx, fmt.Sprint("one", i), pid)
	})
	if err != nil {
		return err
	}
	t.figures["global_register_p50_us"] = quantile(times, 0.5, time.Microsecond)
	seen, err := t.seenElsewhere()
	if err != nil {
		return err
	}
	i += len(seen)
	t.figures["global_visible_p99_ms"] = quantile(seen, 0.99, time.Millisecond)

	var rates []float64
	for round := range t.times(3) {
		rate, total, err := t.registerMany(fmt.Sprint("many-", round), append([]string{t.Name}, others...), t.many(20_000), i)
		if err != nil {
			return err
		}
		rates, i = append(rates, rate), total
	}
	t.figures["global_registers_per_s"] = median(rates)
	t.figures["global_whereis_ns"] = whereis(names, "many-")
	return nil
}

// seenElsewhere is the time from the call of Register until another node has seen the name, by the clock of this machine.
func (t *turn) seenElsewhere() ([]time.Duration, error) {
	count := t.many(1000)
	prefix := "seen-"
	if _, err := ask[string, bool](t, others[0], "sightings", prefix); err != nil {
		return nil, err
	}
	pid := t.here.spawn()
	began := map[string]time.Time{}
	for i := range count {
		name := fmt.Sprint(prefix, i)
		began[name] = time.Now()
		if err := t.here.names.Register(t.ctx, name, pid); err != nil {
			return nil, err
		}
	}
	at, err := ask[int, map[string]int64](t, others[0], "seen", count)
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	for name, then := range at {
		times = append(times, time.Unix(0, then).Sub(began[name]))
	}
	return times, nil
}

// measureTable is 100,000 names on five nodes, and what happens when one of these is killed and comes back.
func measureTable(t *turn) error {
	workers := []string{"b@127.0.0.1", "c@127.0.0.1", "d@127.0.0.1", "e@127.0.0.1"}
	if err := t.start(workers...); err != nil {
		return err
	}
	each := t.many(20_000)
	nodes := append([]string{t.Name}, workers...)
	before, err := ask[int, float64](t, workers[0], "heap", 0)
	if err != nil {
		return err
	}
	rate, total, err := t.registerMany("table", nodes, each, 0)
	if err != nil {
		return err
	}
	t.figures["global_100k_on_5_ms"] = float64(total) / rate * 1000
	after, err := ask[int, float64](t, workers[0], "heap", 0)
	if err != nil {
		return err
	}
	t.figures["global_100k_heap_mb"] = (after - before) / (1 << 20)

	gone, back := total-each, total
	begin := time.Now()
	last := len(t.workers) - 1
	t.workers[last].kill()
	t.workers = t.workers[:last]
	survivors := nodes[:len(nodes)-1]
	if err := t.onAll(survivors, func(name string) error { return t.awaitNames(name, gone) }); err != nil {
		return err
	}
	t.figures["global_kill_ms"] = float64(time.Since(begin)) / float64(time.Millisecond)

	// A new life, that has as many names as the one before, until all see all again.
	begin = time.Now()
	if err := t.hire(workers[last], len(survivors)); err != nil {
		return err
	}
	if _, _, err := t.registerMany("again", workers[last:], each, back-each); err != nil {
		return err
	}
	if err := t.onAll(nodes, func(name string) error { return t.awaitNames(name, back) }); err != nil {
		return err
	}
	t.figures["global_reform_ms"] = float64(time.Since(begin)) / float64(time.Millisecond)
	return nil
}

// heap is what this process holds, garbage not counted, in bytes.
func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools hold lives through one
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// onAll does something for several nodes at once.
func (t *turn) onAll(nodes []string, f func(name string) error) error {
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, name := range nodes {
		wg.Go(func() { errs[i] = f(name) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// awaitNames waits until a node sees so many names.
func (t *turn) awaitNames(name string, count int) error {
	_, err := ask[int, bool](t, name, "names", count)
	return err
}

// registerMany registers names on nodes at once, each as many, until all of the nodes see them all.
func (t *turn) registerMany(prefix string, nodes []string, count, before int) (perSecond float64, total int, err error) {
	const callers = 1024
	total = before + count*len(nodes)
	begin := time.Now()
	err = t.onAll(nodes, func(name string) error {
		_, err := ask[registration, bool](t, name, "register", registration{fmt.Sprint(prefix, "-", name, "-"), count, callers})
		return err
	})
	if err == nil {
		err = t.onAll(nodes, func(name string) error { return t.awaitNames(name, total) })
	}
	return float64(count*len(nodes)) / time.Since(begin).Seconds(), total, err
}

// whereis is nanoseconds for each read of a full table.
func whereis(r *global.Registry, prefix string) float64 {
	names := r.Names(prefix)
	var list []float64
	for range rounds {
		begin := time.Now()
		for _, name := range names {
			r.Whereis(name)
		}
		list = append(list, float64(time.Since(begin))/float64(len(names)))
	}
	return median(list)
}
