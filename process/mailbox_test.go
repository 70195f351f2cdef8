package process

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

var bg = context.Background()

// alone is a runtime without peers.
func alone(t testing.TB, opts ...Option) *Runtime { return newMemNet(t).start("a@h", opts...) }

// endOf tells the reason of a local process that still lives.
func endOf(rt *Runtime, pid PID) <-chan error {
	reason := make(chan error, 1)
	rt.Watch(pid, func(err error) { reason <- err })
	return reason
}

// ended waits for the end of a local process. The reason is ErrNoProcess if that has come already.
func ended(t testing.TB, rt *Runtime, pid PID) error {
	t.Helper()
	select {
	case err := <-endOf(rt, pid):
		return err
	case <-time.After(10 * time.Second):
		t.Fatalf("%v does not end", pid)
		return nil
	}
}

func send(t testing.TB, rt *Runtime, to PID, msgs ...any) {
	t.Helper()
	for _, m := range msgs {
		if err := rt.Send(bg, to, m); err != nil {
			t.Fatalf("send %v: %v", m, err)
		}
	}
}

// receive takes the next message, and lets everything happen until there is one.
func receive(t testing.TB, p *Process) any {
	t.Helper()
	net := p.rt.net.(*memNode).net
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		net.settle()
		if m, ok := p.TryReceive(); ok {
			return m
		}
	}
	t.Fatal("no message comes")
	return nil
}

// nothing fails if a message waits.
func nothing(t testing.TB, p *Process) {
	t.Helper()
	if m, ok := p.TryReceive(); ok {
		t.Fatalf("unexpected message %#v", m)
	}
}

func TestMailbox(t *testing.T) {
	t.Run("order", func(t *testing.T) {
		rt := alone(t)
		self := rt.Attach()
		for i := range 1000 {
			send(t, rt, self.PID(), i)
		}
		for i := range 1000 {
			if m := receive(t, self); m != i {
				t.Fatalf("message %d is %v", i, m)
			}
		}
	})
	t.Run("waits_within_ctx", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt := alone(t)
			self := rt.Attach()
			ctx, cancel := context.WithTimeout(bg, time.Second)
			defer cancel()
			start := time.Now()
			if _, err := self.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			go func() { time.Sleep(time.Second); _ = rt.Send(bg, self.PID(), "x") }()
			if m, err := self.ReceiveTimeout(2 * time.Second); m != "x" || err != nil {
				t.Fatalf("%v %v", m, err)
			}
			if _, err := self.ReceiveTimeout(time.Second); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			_ = rt.Close()
		})
	})
	t.Run("selective", func(t *testing.T) {
		for _, opts := range [][]SpawnOption{nil, {WithMailbox(10, Refuse)}} {
			rt := alone(t)
			self := rt.Attach(opts...)
			send(t, rt, self.PID(), 1, "a", 2, "b", 3)
			if s, err := Receive[string](bg, self); s != "a" || err != nil {
				t.Fatal(s, err)
			}
			if s, err := Receive[string](bg, self); s != "b" || err != nil {
				t.Fatal(s, err)
			}
			go func() { _, _ = rt.Send(bg, self.PID(), 4), rt.Send(bg, self.PID(), "c") }()
			if s, err := Receive[string](bg, self); s != "c" || err != nil {
				t.Fatal(s, err)
			}
			ctx, cancel := context.WithTimeout(bg, time.Millisecond)
			if _, err := Receive[string](ctx, self); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			cancel()
			for i := range 4 {
				if m := receive(t, self); m != i+1 {
					t.Fatalf("message %d is %v", i, m)
				}
			}
			nothing(t, self)
		}
	})
	t.Run("channel", func(t *testing.T) {
		rt := alone(t)
		pid := rt.Spawn(func(self *Process) error {
			tick := time.NewTicker(time.Hour)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case m, ok := <-self.Messages():
					if !ok {
						return nil
					}
					if m != i {
						return errors.New("wrong order")
					}
				case <-tick.C:
				}
			}
		})
		end := endOf(rt, pid)
		send(t, rt, pid, 0, 1, 2)
		rt.Exit(pid, ErrShutdown)
		if err := <-end; !errors.Is(err, ErrShutdown) {
			t.Fatal(err)
		}
	})
	t.Run("channel_left_early", func(t *testing.T) {
		rt := alone(t)
		for range 200 { // the channel takes messages ahead while the process ends
			begin := make(chan struct{})
			pid := rt.Spawn(func(self *Process) error {
				<-begin
				<-self.Messages()
				return errors.New("enough")
			})
			end := endOf(rt, pid)
			send(t, rt, pid, 0, 1, 2)
			close(begin)
			if err := <-end; err == nil || err.Error() != "enough" {
				t.Fatal(err)
			}
		}
		if n := rt.Stats().Unread; n != 400 {
			t.Errorf("%d of 400 are counted as unread", n)
		}
		guest := rt.Attach()
		end := endOf(rt, guest.PID())
		send(t, rt, guest.PID(), 0, 1)
		<-guest.Messages()
		guest.Detach(nil)
		if err := <-end; !errors.Is(err, ErrNormal) {
			t.Fatal(err)
		}
		if n := rt.Stats().Unread; n != 401 {
			t.Errorf("%d of 401 are counted as unread", n)
		}
	})
	t.Run("concurrent_senders_keep_their_own_order", func(t *testing.T) {
		rt := alone(t)
		type item struct{ sender, n int }
		self := rt.Attach()
		const senders, each = 8, 2000
		for s := range senders {
			go func() {
				for n := range each {
					_ = rt.Send(bg, self.PID(), item{s, n})
				}
			}()
		}
		var next [senders]int
		for range senders * each {
			m := receive(t, self).(item)
			if m.n != next[m.sender] {
				t.Fatalf("sender %d: %d in place of %d", m.sender, m.n, next[m.sender])
			}
			next[m.sender]++
		}
	})
	t.Run("length", func(t *testing.T) {
		rt := alone(t)
		self := rt.Attach()
		send(t, rt, self.PID(), 1, 2, 3)
		if n := self.MailboxLen(); n != 3 {
			t.Fatal(n)
		}
		for range 3 {
			receive(t, self)
		}
		nothing(t, self)
		if n := self.MailboxLen(); n != 0 {
			t.Fatal(n)
		}
	})
}
