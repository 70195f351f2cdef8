package benchmark

import (
	"fmt"
	"sync"
	"time"

	"github.com/kith-mesh/kith/global"
)

// measureGlobal is names registered across three nodes.
func measureGlobal(t *turn) error {
	if err := t.start(others...); err != nil {
		return err
	}
	names := t.here.names
	pid := t.here.spawn()
	i := 0
	times, err := timed(nil, 2*time.Second, func() error {
		i++
		return names.Register(t.ctx, fmt.Sprint("one", i), pid)
	})
	if err != nil {
		return err
	}
	t.say("one at a time: done")
	t.figures["global_register_p50_us"] = quantile(times, 0.5, time.Microsecond)

	var rates []float64
	for round := range 3 {
		rate, total, err := t.registerMany(round, i)
		if err != nil {
			return err
		}
		rates, i = append(rates, rate), total
	}
	t.say("many at once: done")
	t.figures["global_registers_per_s"] = median(rates)
	t.figures["global_whereis_ns"] = whereis(names)
	return nil
}

// registerMany registers names on all three nodes at once, until all see them all.
func (t *turn) registerMany(round, before int) (perSecond float64, total int, err error) {
	const count, callers = 20_000, 1024
	nodes := append([]string{t.Name}, others...)
	var mu sync.Mutex // guards err
	all := func(f func(name string) error) {
		var wg sync.WaitGroup
		for _, name := range nodes {
			wg.Go(func() {
				if e := f(name); e != nil {
					mu.Lock()
					defer mu.Unlock()
					err = e
				}
			})
		}
		wg.Wait()
	}
	total = before + count*len(nodes)
	begin := time.Now()
	all(func(name string) error {
		_, err := ask[registration, bool](t, name, "register", registration{fmt.Sprint("many-", round, "-", name, "-"), count, callers})
		return err
	})
	if err == nil {
		all(func(name string) error {
			_, err := ask[int, bool](t, name, "names", total)
			return err
		})
	}
	return float64(count*len(nodes)) / time.Since(begin).Seconds(), total, err
}

// whereis is nanoseconds for each read of a full table.
func whereis(r *global.Registry) float64 {
	names := r.Names("many-")
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
