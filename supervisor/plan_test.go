package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kith-mesh/kith/process"
)

func noStart(context.Context, *process.Process) (process.PID, error) { return process.PID{}, nil }

var errOops = errors.New("oops")

// running makes a plan whose children a, b, c, d all run.
func runningPlan(t rapid.TB, spec Spec, restarts ...Restart) *plan {
	for i := range 4 {
		c := Child{ID: string(rune('a' + i)), Start: noStart}
		if i < len(restarts) {
			c.Restart = restarts[i]
		}
		spec.Children = append(spec.Children, c)
	}
	p, err := newPlan(spec)
	if err != nil {
		t.Fatal(err)
	}
	for c := p.first; c != nil; c = c.next {
		p.started(c, process.PID{Node: c.ID, ID: 1}, time.Time{})
	}
	return p
}

func ids(children []*child) (s string) {
	for _, c := range children {
		s += c.ID
	}
	return s
}

func TestPlan(t *testing.T) {
	now := time.Time{}.Add(time.Second)
	t.Run("strategies", func(t *testing.T) {
		for _, row := range []struct {
			strategy    Strategy
			ends        string
			stop, start string
		}{
			{OneForOne, "b", "", "b"},
			{OneForAll, "b", "dca", "abcd"},
			{RestForOne, "b", "dc", "bcd"},
			{RestForOne, "a", "dcb", "abcd"},
			{RestForOne, "d", "", "d"},
		} {
			p := runningPlan(t, Spec{Strategy: row.strategy})
			d := p.ended(p.byID[row.ends], errOops, now)
			if ids(d.stop) != row.stop || ids(d.start) != row.start || d.giveUp != nil || d.delay != 0 {
				t.Errorf("%v, %s ends: stop %q, start %q", row.strategy, row.ends, ids(d.stop), ids(d.start))
			}
		}
	})
	t.Run("restart_types", func(t *testing.T) {
		wrapped := fmt.Errorf("%w: done", process.ErrShutdown)
		for _, row := range []struct {
			restart Restart
			reason  error
			again   bool
		}{
			{Permanent, process.ErrNormal, true}, {Permanent, errOops, true}, {Permanent, process.ErrShutdown, true},
			{Transient, process.ErrNormal, false}, {Transient, process.ErrShutdown, false}, {Transient, wrapped, false},
			{Transient, errOops, true}, {Transient, process.ErrKilled, true}, {Transient, process.ErrNoConnection, true},
			{Temporary, errOops, false}, {Temporary, process.ErrNormal, false},
		} {
			p := runningPlan(t, Spec{}, row.restart)
			d := p.ended(p.byID["a"], row.reason, now)
			if (len(d.start) == 1) != row.again {
				t.Errorf("%v, %v: start %q", row.restart, row.reason, ids(d.start))
			}
			if kept := p.byID["a"] != nil; kept == (row.restart == Temporary) {
				t.Errorf("%v: kept %v", row.restart, kept)
			}
		}
	})
	t.Run("temporary_siblings_are_not_started_again", func(t *testing.T) {
		p := runningPlan(t, Spec{Strategy: OneForAll}, Permanent, Temporary)
		if d := p.ended(p.byID["a"], errOops, now); ids(d.stop) != "dcb" || ids(d.start) != "acd" {
			t.Fatal(ids(d.stop), ids(d.start))
		}
	})
	t.Run("stopped_siblings_stay_stopped", func(t *testing.T) {
		p := runningPlan(t, Spec{Strategy: OneForAll})
		p.stopped(p.byID["c"])
		if d := p.ended(p.byID["a"], errOops, now); ids(d.stop) != "db" || ids(d.start) != "abd" {
			t.Fatal(ids(d.stop), ids(d.start))
		}
	})
	t.Run("intensity", func(t *testing.T) {
		p := runningPlan(t, Spec{Intensity: Intensity{Restarts: 2, Within: time.Second}})
		end := func(at time.Duration) error {
			c := p.byID["a"]
			d := p.ended(c, errOops, now.Add(at))
			p.started(c, process.PID{Node: "a", ID: 2}, now.Add(at))
			return d.giveUp
		}
		for i, row := range []struct {
			at     time.Duration
			giveUp bool
		}{{0, false}, {600 * time.Millisecond, false}, {1100 * time.Millisecond, false}, {1200 * time.Millisecond, true}} {
			err := end(row.at)
			if (err != nil) != row.giveUp {
				t.Fatal(i, err)
			}
			if err != nil && (!errors.Is(err, ErrIntensity) || !errors.Is(err, process.ErrShutdown)) {
				t.Fatal(err)
			}
		}
		if d := runningPlan(t, Spec{Intensity: Intensity{Restarts: -1}}); d.ended(d.first, errOops, now).giveUp == nil {
			t.Fatal("a negative number allows none")
		}
	})
	t.Run("backoff", func(t *testing.T) {
		spec := Spec{Intensity: Intensity{Restarts: 100}, Backoff: Backoff{Min: time.Second, Max: 5 * time.Second}}
		p := runningPlan(t, spec)
		c, at := p.byID["a"], now
		for _, want := range []time.Duration{1, 2, 4, 5, 5} {
			if d := p.ended(c, errOops, at); d.delay != want*time.Second {
				t.Fatalf("%v in place of %v s", d.delay, want)
			}
			p.started(c, process.PID{Node: "a", ID: 2}, at)
		}
		if d := p.ended(c, errOops, at.Add(time.Hour)); d.delay != time.Second {
			t.Fatal("it ran for long, and starts afresh")
		}
	})
	t.Run("bad_specs", func(t *testing.T) {
		child := Child{ID: "x", Start: noStart}
		for _, spec := range []Spec{
			{Strategy: 9}, {Backoff: Backoff{Min: -1}}, {Children: []Child{{ID: "x"}}}, {Children: []Child{{Start: noStart}}},
			{Children: []Child{child, child}}, {Children: []Child{{ID: "x", Start: noStart, Restart: 7}}},
		} {
			if _, err := newPlan(spec); !errors.Is(err, ErrBadSpec) {
				t.Errorf("%+v: %v", spec, err)
			}
		}
	})
}

// TestPlanModel lets children come, go and end at will: the lists stay in step, what is started is in order, and the
// intensity holds for any span of time.
func TestPlanModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := Spec{
			Strategy:  Strategy(rapid.IntRange(0, 2).Draw(t, "strategy")),
			Intensity: Intensity{Restarts: rapid.IntRange(1, 4).Draw(t, "restarts"), Within: 10 * time.Second},
		}
		p, err := newPlan(spec)
		if err != nil {
			t.Fatal(err)
		}
		now, next := time.Time{}.Add(time.Hour), uint64(0)
		var order []string
		var granted []time.Time
		start := func(c *child) {
			next++
			p.started(c, process.PID{Node: "n@h", ID: next}, now)
		}
		pick := func(t *rapid.T, f func(*child) bool) *child {
			var fits []*child
			for c := p.first; c != nil; c = c.next {
				if f(c) {
					fits = append(fits, c)
				}
			}
			if len(fits) == 0 {
				t.Skip("none")
			}
			return rapid.SampledFrom(fits).Draw(t, "child")
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				var listed []string
				count := 0
				for c := p.first; c != nil; c = c.next {
					listed = append(listed, c.ID)
					if !c.pid.IsZero() {
						count++
						if p.byPID[c.pid] != c {
							t.Fatalf("%s is not found by its PID", c.ID)
						}
					}
				}
				if !slices.Equal(listed, order) || len(p.byID) != len(order) || len(p.byPID) != count {
					t.Fatalf("%v, want %v; %d by id, %d of %d by PID", listed, order, len(p.byID), len(p.byPID), count)
				}
			},
			"add": func(t *rapid.T) {
				c, err := p.add(Child{Start: noStart, Restart: Restart(rapid.IntRange(0, 2).Draw(t, "restart"))})
				if err != nil {
					t.Fatal(err)
				}
				order = append(order, c.ID)
				start(c)
			},
			"pass": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 8).Draw(t, "seconds")) * time.Second) },
			"stop": func(t *rapid.T) { p.stopped(pick(t, func(c *child) bool { return !c.pid.IsZero() })) },
			"restart": func(t *rapid.T) {
				start(pick(t, func(c *child) bool { return c.idle() }))
			},
			"delete": func(t *rapid.T) {
				c := pick(t, func(c *child) bool { return c.idle() })
				p.remove(c)
				order = slices.DeleteFunc(order, func(id string) bool { return id == c.ID })
			},
			"end": func(t *rapid.T) {
				c := pick(t, func(c *child) bool { return !c.pid.IsZero() })
				reason := rapid.SampledFrom([]error{errOops, process.ErrNormal}).Draw(t, "reason")
				d := p.ended(c, reason, now)
				if c.Restart == Temporary {
					order = slices.DeleteFunc(order, func(id string) bool { return id == c.ID })
				}
				recent := 1
				for _, at := range granted {
					if now.Sub(at) < spec.Intensity.Within {
						recent++
					}
				}
				if !c.Restart.again(reason) {
					if len(d.start)+len(d.stop) > 0 || d.giveUp != nil {
						t.Fatalf("nothing was to be done: %+v", d)
					}
					return
				}
				granted = append(granted, now)
				if (d.giveUp != nil) != (recent > spec.Intensity.Restarts) {
					t.Fatalf("gives up: %v, with %d restarts of %d", d.giveUp, recent, spec.Intensity.Restarts)
				}
				last := -1
				for _, each := range d.start {
					if i := slices.Index(order, each.ID); i <= last {
						t.Fatalf("%s is started out of order", each.ID)
					} else {
						last = i
					}
				}
				for _, each := range d.stop {
					p.stopped(each)
					if each.Restart == Temporary {
						p.remove(each)
						order = slices.DeleteFunc(order, func(id string) bool { return id == each.ID })
					}
				}
				for _, each := range d.start {
					start(each)
				}
			},
		})
	})
}
