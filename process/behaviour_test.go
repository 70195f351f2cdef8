package process

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a behaviour that notes what happens to it.
type recorder struct {
	events  chan any
	initErr error
}

func (b *recorder) Init(*Process) error {
	b.events <- "init"
	return b.initErr
}

func (b *recorder) Handle(_ *Process, m Message) error {
	b.events <- m
	if f, ok := m.(func() error); ok {
		return f()
	}
	return nil
}

func (b *recorder) Terminate(_ *Process, reason error) { b.events <- reason }

func TestBehaviour(t *testing.T) {
	spawn := func(t *testing.T, initErr error) (*Runtime, PID, chan any) {
		rt := alone(t)
		b := &recorder{events: make(chan any, 100), initErr: initErr}
		return rt, rt.SpawnBehaviour(b), b.events
	}
	t.Run("life", func(t *testing.T) {
		rt, pid, events := spawn(t, nil)
		end := endOf(rt, pid)
		send(t, rt, pid, 1, 2, func() error { return errOops })
		if err := <-end; err != errOops {
			t.Fatal(err)
		}
		for _, want := range []any{"init", 1, 2} {
			if got := <-events; got != want {
				t.Fatalf("%v, not %v", got, want)
			}
		}
		<-events // the function
		if got := <-events; got != errOops {
			t.Fatal(got)
		}
	})
	t.Run("init_fails", func(t *testing.T) {
		rt, pid, events := spawn(t, errOops)
		if err := ended(t, rt, pid); err != errOops && !errors.Is(err, ErrNoProcess) {
			t.Fatal(err)
		}
		if <-events != "init" || len(events) != 0 {
			t.Fatal("terminated without having started")
		}
	})
	t.Run("panic", func(t *testing.T) {
		rt, pid, events := spawn(t, nil)
		end := endOf(rt, pid)
		send(t, rt, pid, func() error { panic("x") })
		if _, ok := errors.AsType[*PanicError](<-end); !ok {
			t.Fatal("no panic")
		}
		<-events
		<-events
		if _, ok := (<-events).(*PanicError); !ok {
			t.Fatal("not terminated")
		}
	})
	t.Run("goexit", func(t *testing.T) {
		rt, pid, _ := spawn(t, nil)
		end := endOf(rt, pid)
		send(t, rt, pid, func() error { runtime.Goexit(); return nil })
		if err := <-end; !errors.Is(err, ErrGoexit) {
			t.Fatal(err)
		}
	})
	t.Run("exit_while_parked", func(t *testing.T) {
		rt, pid, events := spawn(t, nil)
		<-events
		rt.Exit(pid, ErrShutdown)
		if err := ended(t, rt, pid); !errors.Is(err, ErrShutdown) && !errors.Is(err, ErrNoProcess) {
			t.Fatal(err)
		}
		if got := <-events; got != ErrShutdown {
			t.Fatal(got)
		}
	})
	t.Run("kill_skips_terminate", func(t *testing.T) {
		rt, pid, events := spawn(t, nil)
		<-events
		rt.Exit(pid, ErrKill)
		if rt.Alive(pid) || len(events) != 0 {
			t.Fatal("a killed process has no last words")
		}
	})
	t.Run("no_goroutine_while_idle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt := alone(t)
			var pids []PID
			for range 1000 {
				pids = append(pids, rt.SpawnBehaviour(HandleFunc(func(*Process, Message) error { return nil })))
			}
			for _, pid := range pids {
				send(t, rt, pid, 1, 2)
			}
			synctest.Wait()
			for _, p := range rt.procs.all() {
				if p.running || len(p.queue) > 0 {
					t.Fatal("a process at rest holds a goroutine")
				}
			}
			if n := rt.workers.waiting.Load(); n > rt.workers.most {
				t.Fatalf("%d workers wait, %d may", n, rt.workers.most)
			}
		})
	})
	t.Run("receive_inside_handle", func(t *testing.T) {
		rt := alone(t)
		got := make(chan any, 2)
		pid := rt.SpawnBehaviour(HandleFunc(func(self *Process, m Message) error {
			s, err := Receive[string](bg, self)
			got <- m
			got <- s
			return err
		}))
		send(t, rt, pid, 1)
		send(t, rt, pid, 2, "x")
		if m, s := <-got, <-got; m != 1 || s != "x" {
			t.Fatal(m, s)
		}
	})
	t.Run("one_at_a_time", func(t *testing.T) {
		rt := alone(t)
		done := make(chan int, 1)
		n := 0 // the race detector watches it
		pid := rt.SpawnBehaviour(HandleFunc(func(*Process, Message) error {
			if n++; n == 8*500 {
				done <- n
			}
			return nil
		}))
		for range 8 {
			go func() {
				for range 500 {
					_ = rt.Send(bg, pid, 0)
				}
			}()
		}
		<-done
	})
}

func TestRuntime(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		rt := alone(t)
		pid := rt.Spawn(stay)
		_ = rt.Close()
		if rt.Alive(pid) || !rt.Spawn(stay).IsZero() || !rt.SpawnBehaviour(HandleFunc(nil)).IsZero() {
			t.Fatal("lives after Close")
		}
		for _, err := range []error{
			rt.Send(bg, pid, 1), rt.SendTo(bg, Name{"x", ""}, 1), rt.SendConfirmed(bg, pid, 1),
		} {
			if !errors.Is(err, ErrClosed) {
				t.Fatal(err)
			}
		}
		if _, err := rt.SpawnAt(bg, "a@h", "x", nil); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		if _, err := rt.Attach().Receive(bg); !errors.Is(err, ErrKilled) {
			t.Fatal(err)
		}
	})
	t.Run("shutdown", func(t *testing.T) {
		rt := alone(t)
		pid := rt.Spawn(stay)
		reason := endOf(rt, pid)
		if err := rt.Shutdown(bg); err != nil {
			t.Fatal(err)
		}
		if err := <-reason; !errors.Is(err, ErrShutdown) {
			t.Fatal(err)
		}
	})
	t.Run("shutdown_kills_the_deaf", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt := alone(t)
			release := make(chan struct{})
			pid := rt.Spawn(func(*Process) error { <-release; return nil })
			synctest.Wait()
			reason := endOf(rt, pid)
			ctx, cancel := context.WithTimeout(bg, time.Second)
			defer cancel()
			if err := rt.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			if err := <-reason; !errors.Is(err, ErrKilled) {
				t.Fatal(err)
			}
			close(release)
		})
	})
	t.Run("high_water", func(t *testing.T) {
		var reported []int
		rt := alone(t, HighWater(10, func(_ PID, n int) { reported = append(reported, n) }))
		self := rt.Attach()
		for round := range 2 {
			for i := range 45 {
				send(t, rt, self.PID(), i)
			}
			for range 45 {
				receive(t, self)
			}
			nothing(t, self)
			if n := rt.Stats().HighWater; n != uint64(3*(round+1)) || reported[0] != 10 || reported[1] != 20 || reported[2] != 40 {
				t.Fatal(n, reported)
			}
		}
	})
	t.Run("context", func(t *testing.T) {
		rt := alone(t)
		self := rt.Attach()
		if p, ok := FromContext(self.Context()); !ok || p != self {
			t.Fatal("not in its own context")
		}
		if _, ok := FromContext(bg); ok {
			t.Fatal("in another's context")
		}
		self.Detach(errOops)
		if context.Cause(self.Context()) != errOops {
			t.Fatal(context.Cause(self.Context()))
		}
	})
}
