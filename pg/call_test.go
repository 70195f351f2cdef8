package pg_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

// answerer starts a process that answers calls.
func (c *cluster) answerer(i int, f func(self *process.Process, call *pg.Call) error) process.PID {
	return c.rt[i].Spawn(func(self *process.Process) error {
		for {
			msg, err := self.Receive(self.Context())
			if err != nil {
				return nil
			}
			if call, ok := msg.(*pg.Call); ok {
				if err := f(self, call); err != nil {
					return err
				}
			}
		}
	})
}

func echo(self *process.Process, call *pg.Call) error {
	return call.Reply(self.Context(), self.PID(), call.Msg)
}

// gather takes all answers: values and errors by member.
func gather(t *testing.T, ctx context.Context, s *pg.Scope, group string, msg any) (map[process.PID]any, map[process.PID]error) {
	t.Helper()
	values, errs := map[process.PID]any{}, map[process.PID]error{}
	for r, err := range s.CallAll(ctx, group, msg) {
		if values[r.From] != nil || errs[r.From] != nil {
			t.Fatalf("two answers of %v", r.From)
		}
		if err != nil {
			errs[r.From] = err
		} else {
			values[r.From] = r.Value
		}
	}
	return values, errs
}

func TestCallAll(t *testing.T) {
	c := newCluster(t, 3)
	ctx := background(t)

	t.Run("all_answer", func(t *testing.T) {
		s := c.scope(t.Name())
		defer stop(s)
		var want []process.PID
		for i := range s {
			for range 3 {
				p := c.answerer(i, echo)
				want = append(want, p)
				must(t, s[i].Join("g", p, p))
			}
		}
		meshtest.Eventually(t, "members", func() bool { return s[0].Count("g").Members == 18 })
		for range 20 {
			values, errs := gather(t, ctx, s[0], "g", "hello")
			if len(values) != len(want) || len(errs) > 0 {
				t.Fatalf("answers %v, errors %v", values, errs)
			}
			for _, p := range want {
				if values[p] != "hello" {
					t.Fatalf("%v answered %v", p, values[p])
				}
			}
		}
		for range s[0].CallAll(ctx, "nobody", "hello") {
			t.Fatal("an answer of nobody")
		}
	})

	t.Run("errors_by_member", func(t *testing.T) {
		s := c.scope(t.Name())
		defer stop(s)
		var fine, failing, dying, silent []process.PID
		for i := range s {
			fine = append(fine, c.answerer(i, echo))
			failing = append(failing, c.answerer(i, func(self *process.Process, call *pg.Call) error {
				return call.Fail(self.Context(), self.PID(), errors.New("out of tea"))
			}))
			dying = append(dying, c.answerer(i, func(*process.Process, *pg.Call) error { return errors.New("dead") }))
			silent = append(silent, c.answerer(i, func(*process.Process, *pg.Call) error { return nil }))
			must(t, s[i].Join("g", fine[i], failing[i], dying[i], silent[i]))
		}
		meshtest.Eventually(t, "members", func() bool { return s[0].Count("g").Members == 12 })
		limited, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		values, errs := gather(t, limited, s[0], "g", "hello")
		for i := range s {
			var answer *pg.AnswerError
			switch {
			case values[fine[i]] != "hello":
				t.Fatalf("node %d: %v", i, errs[fine[i]])
			case !errors.As(errs[failing[i]], &answer) || answer.Message != "out of tea":
				t.Fatalf("node %d: %v", i, errs[failing[i]])
			case !errors.Is(errs[dying[i]], process.ErrNoProcess):
				t.Fatalf("node %d: %v", i, errs[dying[i]])
			case !errors.Is(errs[silent[i]], pg.ErrTimeout) || !errors.Is(errs[silent[i]], context.DeadlineExceeded):
				t.Fatalf("node %d: %v", i, errs[silent[i]])
			}
		}
		if len(values) != 3 || len(errs) != 9 {
			t.Fatalf("%d answers, %d errors", len(values), len(errs))
		}
	})

	t.Run("bad_calls", func(t *testing.T) {
		s := c.scope(t.Name())
		defer stop(s)
		must(t, s[1].Join("g", c.answerer(1, echo)))
		meshtest.Eventually(t, "members", func() bool { return s[0].Count("g").Members == 1 })
		ended, cancel := context.WithCancel(ctx)
		cancel()
		for name, want := range map[string]error{"": pg.ErrBadName, strings.Repeat("x", 300): pg.ErrBadName} {
			_, errs := gather(t, ctx, s[0], name, "x")
			if len(errs) != 1 || !errors.Is(errs[process.PID{}], want) {
				t.Fatalf("errors %v", errs)
			}
		}
		if _, errs := gather(t, ended, s[0], "g", "x"); !errors.Is(errs[process.PID{}], context.Canceled) {
			t.Fatalf("errors %v", errs)
		}
		if _, errs := gather(t, ctx, s[0], "g", struct{}{}); !errors.Is(errs[process.PID{}], process.ErrUnregisteredType) {
			t.Fatalf("errors %v", errs)
		}
	})

	t.Run("answer_once_and_while_somebody_waits", func(t *testing.T) {
		s := c.scope(t.Name())
		defer stop(s)
		results := make(chan error, 10)
		p := c.answerer(1, func(self *process.Process, call *pg.Call) error {
			results <- call.Reply(self.Context(), process.PID{Node: "nobody"}, "x")
			results <- call.Reply(self.Context(), self.PID(), "x")
			results <- call.Reply(self.Context(), self.PID(), "x")
			return nil
		})
		held := make(chan *pg.Call, 1)
		q := c.answerer(1, func(_ *process.Process, call *pg.Call) error {
			held <- call
			return nil
		})
		must(t, s[1].Join("g", p, q))
		meshtest.Eventually(t, "members", func() bool { return s[0].Count("g").Members == 2 })
		for r, err := range s[0].CallAll(ctx, "g", "hello") {
			if r.From != p || err != nil {
				t.Fatalf("%+v, %v", r, err)
			}
			break // the other one is told that nobody waits
		}
		if err := <-results; !errors.Is(err, pg.ErrAnswered) {
			t.Fatalf("answer of a stranger: %v", err)
		}
		must(t, <-results)
		if err := <-results; !errors.Is(err, pg.ErrAnswered) {
			t.Fatalf("second answer: %v", err)
		}
		call := <-held
		meshtest.Eventually(t, "cancellation", func() bool {
			return errors.Is(call.Reply(ctx, q, "late"), pg.ErrAnswered)
		})
	})
}

func TestCallAllNodeDown(t *testing.T) {
	c := newCluster(t, 3)
	s := c.scope("s")
	asked := make(chan struct{}, 1)
	p := c.answerer(0, echo)
	q := c.answerer(2, func(*process.Process, *pg.Call) error {
		asked <- struct{}{}
		return nil
	})
	must(t, s[0].Join("g", p))
	must(t, s[2].Join("g", q))
	meshtest.Eventually(t, "members", func() bool { return s[0].Count("g").Members == 2 })
	go func() {
		<-asked
		c.Cut(1, 3)
	}()
	values, errs := gather(t, background(t), s[0], "g", "hello")
	if values[p] != "hello" || !errors.Is(errs[q], process.ErrNoConnection) {
		t.Fatalf("answers %v, errors %v", values, errs)
	}
}
