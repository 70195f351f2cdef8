package process

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestBounded(t *testing.T) {
	t.Run("refuse", func(t *testing.T) {
		rt := alone(t)
		self := rt.Attach(WithMailbox(2, Refuse))
		send(t, rt, self.PID(), 1, 2)
		if err := rt.Send(bg, self.PID(), 3); !errors.Is(err, ErrMailboxFull) {
			t.Fatal(err)
		}
		if err := rt.SendConfirmed(bg, self.PID(), 3); !errors.Is(err, ErrMailboxFull) {
			t.Fatal(err)
		}
		if n := rt.Deliver([]PID{self.PID()}, 3); n != 0 {
			t.Fatal(n)
		}
		if n := rt.Stats().Refused; n != 3 {
			t.Fatal(n)
		}
		receive(t, self)
		send(t, rt, self.PID(), 4)
		if a, b := receive(t, self), receive(t, self); a != 2 || b != 4 {
			t.Fatal(a, b)
		}
	})
	t.Run("drop_oldest", func(t *testing.T) {
		rt := alone(t)
		self := rt.Attach(WithMailbox(2, DropOldest))
		dead := rt.Spawn(stay)
		rt.Exit(dead, ErrKill)
		self.Monitor(dead) // a Down is never dropped
		send(t, rt, self.PID(), 1, 2, 3, 4)
		down(t, self)
		if m := receive(t, self); m != 4 {
			t.Fatal(m)
		}
		if n := rt.Stats().DroppedOldest; n != 3 {
			t.Fatal(n)
		}
	})
	t.Run("block", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt := alone(t)
			self := rt.Attach(WithMailbox(1, Block))
			send(t, rt, self.PID(), 0)
			ctx, cancel := context.WithTimeout(bg, time.Second)
			defer cancel()
			if err := rt.Send(ctx, self.PID(), "late"); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for i := range 3 {
				wg.Go(func() { _ = rt.Send(bg, self.PID(), i+1) })
				synctest.Wait() // in line
			}
			for i := range 4 {
				if m, err := self.Receive(bg); m != i || err != nil {
					t.Fatalf("%v in place of %d: %v", m, i, err)
				}
				synctest.Wait()
			}
			wg.Wait()
			send(t, rt, self.PID(), 5)
			wg.Go(func() { _ = rt.Send(bg, self.PID(), 6) })
			synctest.Wait()
			self.Detach(nil) // lets those who wait go
			wg.Wait()
			_ = rt.Close()
		})
	})
	t.Run("remote_senders", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		block := b.Attach(WithMailbox(1, Block))
		refuse := b.Attach(WithMailbox(1, Refuse))
		send(t, a, block.PID(), 1, 2, 3)
		send(t, a, refuse.PID(), 1, 2, 3)
		net.settle()
		for i := range 3 {
			if m := receive(t, block); m != i+1 {
				t.Fatal(m)
			}
		}
		receive(t, refuse)
		nothing(t, refuse)
		if n := b.Stats().Refused; n != 2 {
			t.Fatal(n)
		}
	})
	t.Run("selective_while_dropping", func(t *testing.T) {
		rt := alone(t)
		self := rt.Attach(WithMailbox(3, DropOldest))
		send(t, rt, self.PID(), 1, 2, 3)
		got, err := self.ReceiveMatch(bg, func(m Message) bool {
			if m == 2 {
				send(t, rt, self.PID(), 4, 5) // drops 1 and 2
			}
			return m == 2 || m == 5
		})
		if got != 5 || err != nil {
			t.Fatal(got, err)
		}
		if a, b := receive(t, self), receive(t, self); a != 3 || b != 4 {
			t.Fatal(a, b)
		}
	})
	for p, want := range map[Policy]string{Refuse: "refuse", Block: "block", DropOldest: "drop_oldest", 9: "unknown"} {
		if p.String() != want {
			t.Errorf("%d prints %q", p, p)
		}
	}
}

// TestMailboxModel compares mailboxes of every kind with a slice.
func TestMailboxModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		capacity := rapid.IntRange(0, 4).Draw(rt, "capacity")
		policy := rapid.SampledFrom([]Policy{Refuse, DropOldest}).Draw(rt, "policy")
		r := alone(t)
		defer func() { _ = r.Close() }()
		self := r.Attach(WithMailbox(capacity, policy))
		var model []any
		last := 0
		take := func(got any, ok bool, want int) {
			if want < 0 {
				if ok {
					rt.Fatalf("%v from a mailbox that has nothing of the kind: %v", got, model)
				}
				return
			}
			if !ok || got != model[want] {
				rt.Fatalf("%v %v, want %v", got, ok, model[want])
			}
			model = slices.Delete(model, want, want+1)
		}
		put := func(m any) {
			err := r.Send(bg, self.PID(), m)
			switch {
			case capacity == 0 || len(model) < capacity:
			case policy == Refuse:
				if !errors.Is(err, ErrMailboxFull) {
					rt.Fatal(err)
				}
				return
			default:
				model = model[1:]
			}
			if err != nil {
				rt.Fatal(err)
			}
			model = append(model, m)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"number": func(*rapid.T) { last++; put(last) },
			"text":   func(*rapid.T) { last++; put(fmt.Sprint(last)) },
			"take": func(*rapid.T) {
				m, ok := self.TryReceive()
				want := -1
				if len(model) > 0 {
					want = 0
				}
				take(m, ok, want)
			},
			"take_text": func(*rapid.T) {
				ctx, cancel := context.WithCancel(bg)
				cancel()
				m, err := Receive[string](ctx, self)
				take(m, err == nil, slices.IndexFunc(model, func(m any) bool { _, ok := m.(string); return ok }))
			},
			"burst": func(*rapid.T) {
				for range 20 {
					last++
					put(last)
				}
			},
		})
	})
}
