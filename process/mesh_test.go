package process_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

var bg = context.Background()

// mesh is n real nodes with a runtime each.
func mesh(t testing.TB, n int, opts ...meshtest.Option) (*meshtest.Mesh, []*process.Runtime) {
	t.Helper()
	m := meshtest.New(t, n, opts...)
	var rts []*process.Runtime
	for _, nd := range m.Nodes() {
		rts = append(rts, on(t, nd))
	}
	return m, rts
}

func on(t testing.TB, n *node.Node) *process.Runtime {
	t.Helper()
	rt, err := process.New(n)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func receive(t testing.TB, p *process.Process) any {
	t.Helper()
	m, err := p.ReceiveTimeout(20 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(bg, d)
	t.Cleanup(cancel)
	return ctx
}

func idle(self *process.Process) error {
	<-self.Context().Done()
	return nil
}

func TestMesh(t *testing.T) {
	m, rts := mesh(t, 2)
	a, b := rts[0], rts[1]
	nameOfB := m.Node(2).Name()

	t.Run("SIG-01_order", func(t *testing.T) {
		self := b.Attach()
		defer self.Detach(nil)
		const count = 50_000
		go func() {
			for i := range count {
				_ = a.Send(bg, self.PID(), i)
			}
		}()
		for i := range count {
			if got := receive(t, self); got != i {
				t.Fatalf("%v in place of %d", got, i)
			}
		}
	})
	t.Run("SEND-09_name_and_pid", func(t *testing.T) {
		self := b.Attach(process.WithName("sink"))
		defer self.Detach(nil)
		go func() {
			for i := 0; i < 2000; i += 2 {
				_ = a.Send(bg, self.PID(), i)
				_ = a.SendTo(bg, process.Name{Name: "sink", Node: nameOfB}, i+1)
			}
		}()
		for i := range 2000 {
			if got := receive(t, self); got != i {
				t.Fatalf("%v in place of %d", got, i)
			}
		}
	})
	t.Run("SIG-14_large_beside_small", func(t *testing.T) {
		large, small := b.Attach(), b.Attach()
		defer large.Detach(nil)
		defer small.Detach(nil)
		sent := make(chan time.Time, 1)
		go func() {
			_ = a.Send(bg, large.PID(), make([]byte, 60<<20))
			sent <- time.Now()
		}()
		var worst time.Duration
		n := 0
		for done := false; !done; n++ {
			start := time.Now()
			if err := a.Send(bg, small.PID(), "x"); err != nil {
				t.Fatal(err)
			}
			receive(t, small)
			worst = max(worst, time.Since(start))
			select {
			case <-sent:
				done = true
			default:
			}
		}
		if got := receive(t, large).([]byte); len(got) != 60<<20 {
			t.Fatal(len(got))
		}
		if n < 3 {
			t.Fatalf("only %d small messages passed; the slowest took %v", n, worst)
		}
	})
	t.Run("too_large", func(t *testing.T) {
		self := b.Attach()
		defer self.Detach(nil)
		if err := a.Send(bg, self.PID(), make([]byte, 64<<20)); !errors.Is(err, node.ErrTooLarge) {
			t.Fatal(err)
		}
	})
	t.Run("RPC-09_confirmed", func(t *testing.T) {
		self := b.Attach(process.WithName("confirmed"))
		if err := a.SendConfirmed(within(t, 10*time.Second), process.Name{Name: "confirmed", Node: nameOfB}, 1); err != nil {
			t.Fatal(err)
		}
		if n := self.MailboxLen(); n != 1 {
			t.Fatal(n)
		}
		self.Detach(nil)
		if err := a.SendConfirmed(within(t, 10*time.Second), self.PID(), 1); !errors.Is(err, process.ErrNoProcess) {
			t.Fatal(err)
		}
	})
	t.Run("remote_start", func(t *testing.T) {
		if err := process.RegisterFunc(b, "twice", func(self *process.Process, to process.PID) error {
			for {
				m, err := self.Receive(bg)
				if err != nil {
					return err
				}
				if err := b.Send(self.Context(), to, 2*m.(int)); err != nil {
					return err
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		self := a.Attach(process.WithTrapExit())
		pid, err := a.SpawnAt(within(t, 10*time.Second), nameOfB, "twice", self.PID(), process.WithLink(self))
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Send(bg, pid, 21)
		if got := receive(t, self); got != 42 {
			t.Fatal(got)
		}
		_ = a.Send(bg, pid, "text")
		e := receive(t, self).(process.Exit)
		if pe, ok := errors.AsType[*process.PanicError](e.Reason); !ok || e.From != pid || len(pe.Stack) == 0 {
			t.Fatalf("%+v", e)
		}
		self.Detach(nil)
	})
	t.Run("LINK-20_congestion", func(t *testing.T) {
		// The receiver's node is flooded while processes end: every DOWN and EXIT comes, each behind its messages.
		const count = 200
		watcher := a.Attach(process.WithTrapExit())
		defer watcher.Detach(nil)
		var flood atomic.Bool
		flood.Store(true)
		sink := a.Spawn(func(self *process.Process) error {
			for {
				if _, err := self.Receive(bg); err != nil {
					return err
				}
			}
		})
		for range 4 {
			go func() {
				load := make([]byte, 32<<10)
				for flood.Load() {
					_ = b.Send(bg, sink, load)
				}
			}()
		}
		for i := range count {
			pid := b.Spawn(func(self *process.Process) error {
				if _, err := self.Receive(bg); err != nil {
					return err
				}
				_ = b.Send(bg, watcher.PID(), i)
				return fmt.Errorf("end %d", i)
			})
			watcher.Monitor(pid)
			watcher.Link(pid)
			_ = a.Send(bg, pid, "end")
		}
		said, downs, exits := map[string]bool{}, 0, 0
		for downs+exits < 2*count {
			switch got := receive(t, watcher).(type) {
			case int:
				said[fmt.Sprintf("end %d", got)] = true
			case process.Down:
				if downs++; !said[got.Reason.Error()] {
					t.Fatalf("%v came before the last message", got.Reason)
				}
			case process.Exit:
				if exits++; !said[got.Reason.Error()] {
					t.Fatalf("%v came before the last message", got.Reason)
				}
			}
		}
		flood.Store(false)
		if downs != count || exits != count {
			t.Fatal(downs, exits)
		}
	})
	t.Run("LINK-22_large_reason", func(t *testing.T) {
		watcher := a.Attach()
		defer watcher.Detach(nil)
		for _, size := range []int{1 << 20, 65 << 20} {
			pid := b.Spawn(func(self *process.Process) error {
				_, _ = self.Receive(bg)
				return errors.New(string(make([]byte, size)))
			})
			watcher.Monitor(pid)
			_ = a.Send(bg, pid, "end")
			got := len(receive(t, watcher).(process.Down).Reason.Error())
			if size < 64<<20 && got != size || got == 0 || got > size {
				t.Fatal(size, got)
			}
		}
	})
	t.Run("LINK-03_SIG-05_unreachable", func(t *testing.T) {
		self := a.Attach()
		defer self.Detach(nil)
		nowhere := process.PID{Node: "nowhere@127.0.0.1", Incarnation: 1, ID: 1}
		if err := a.Send(within(t, 10*time.Second), nowhere, 1); err != nil {
			t.Fatal(err)
		}
		self.Monitor(nowhere)
		if d := receive(t, self).(process.Down); !errors.Is(d.Reason, process.ErrNoConnection) {
			t.Fatal(d.Reason)
		}
	})
	t.Run("SIG-08_SIG-09_connects_by_itself", func(t *testing.T) {
		self := b.Attach()
		defer self.Detach(nil)
		m.Node(1).Disconnect(nameOfB)
		meshtest.Eventually(t, "disconnected", func() bool { return !m.Connected(1, 2) })
		if err := a.SendTo(bg, self.PID(), "x", node.NoConnect); !errors.Is(err, process.ErrNoConnection) {
			t.Fatal(err)
		}
		if err := a.Send(within(t, 10*time.Second), self.PID(), "y"); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, self); got != "y" {
			t.Fatal(got)
		}
	})
}

func TestMeshFailure(t *testing.T) {
	t.Run("LINK-04_LINK-15_break", func(t *testing.T) {
		m, rts := mesh(t, 2)
		a, b := rts[0], rts[1]
		self := a.Attach(process.WithTrapExit())
		there := b.Spawn(idle)
		reason := make(chan error, 1)
		b.Watch(there, func(err error) { reason <- err })
		mon := self.Monitor(there)
		self.Link(there)
		if err := a.SendConfirmed(within(t, 10*time.Second), there, 1); err != nil {
			t.Fatal(err)
		}
		m.Break(1, 2)
		for range 2 {
			switch got := receive(t, self).(type) {
			case process.Down:
				if got.Monitor != mon || !errors.Is(got.Reason, process.ErrNoConnection) {
					t.Fatalf("%+v", got)
				}
			case process.Exit:
				if got.From != there || !errors.Is(got.Reason, process.ErrNoConnection) {
					t.Fatalf("%+v", got)
				}
			}
		}
		if err := <-reason; !errors.Is(err, process.ErrNoConnection) {
			t.Fatal(err)
		}
		m.Mend(1, 2)
		m.WaitFull()
		self.Monitor(there)
		if d := receive(t, self).(process.Down); !errors.Is(d.Reason, process.ErrNoProcess) {
			t.Fatalf("%+v", d)
		}
	})
	t.Run("SIG-12_restart", func(t *testing.T) {
		m, rts := mesh(t, 2)
		a := rts[0]
		self := a.Attach(process.WithTrapExit())
		old := rts[1].Spawn(idle)
		self.Monitor(old)
		m.Kill(2)
		if d := receive(t, self).(process.Down); !errors.Is(d.Reason, process.ErrNoConnection) {
			t.Fatalf("%+v", d)
		}
		b := on(t, m.Restart(2))
		m.WaitFull()
		for range 10 {
			b.Spawn(func(self *process.Process) error {
				m, err := self.Receive(bg)
				if err == nil {
					t.Errorf("a message for an earlier life arrived: %v", m)
				}
				return err
			})
		}
		if err := a.Send(within(t, 10*time.Second), old, "lost"); err != nil {
			t.Fatal(err)
		}
		self.Monitor(old)
		self.Link(old)
		for range 2 {
			switch got := receive(t, self).(type) {
			case process.Down:
				if !errors.Is(got.Reason, process.ErrNoProcess) {
					t.Fatalf("%+v", got)
				}
			case process.Exit:
				if !errors.Is(got.Reason, process.ErrNoProcess) {
					t.Fatalf("%+v", got)
				}
			}
		}
	})
	t.Run("clean_leave_with_reasons", func(t *testing.T) {
		m, rts := mesh(t, 2)
		self := rts[0].Attach()
		self.Monitor(rts[1].Spawn(idle))
		guest := rts[1].Attach()
		if err := rts[0].SendConfirmed(within(t, 10*time.Second), guest.PID(), 1); err != nil {
			t.Fatal(err)
		}
		guest.Detach(nil)
		if err := rts[1].Shutdown(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
		m.Stop(2)
		if d := receive(t, self).(process.Down); !errors.Is(d.Reason, process.ErrShutdown) {
			t.Fatalf("%+v", d)
		}
	})
	t.Run("no_runtime_there", func(t *testing.T) {
		m := meshtest.New(t, 2)
		a := on(t, m.Node(1))
		self := a.Attach()
		to := process.Name{Name: "x", Node: m.Node(2).Name()}
		if err := a.SendTo(within(t, 10*time.Second), to, 1); err != nil {
			t.Fatal(err)
		}
		self.Monitor(to)
		if d := receive(t, self).(process.Down); !errors.Is(d.Reason, process.ErrNoProcess) {
			t.Fatalf("%+v", d)
		}
	})
	t.Run("SIG-03_flapping", func(t *testing.T) {
		m, rts := mesh(t, 2)
		a, b := rts[0], rts[1]
		self := b.Attach()
		stop := make(chan struct{})
		var sent atomic.Int64
		go func() {
			defer close(stop)
			for i := range 200_000 {
				if a.Send(bg, self.PID(), i) == nil {
					sent.Add(1)
				}
			}
			_ = a.Send(bg, self.PID(), "last")
		}()
		for range 3 {
			m.Break(1, 2)
			meshtest.Eventually(t, "nodedown", func() bool { return !m.Connected(1, 2) })
			m.Mend(1, 2)
			m.WaitFull()
		}
		<-stop
		if err := a.SendConfirmed(within(t, 20*time.Second), self.PID(), "end"); err != nil {
			t.Fatal(err)
		}
		last, n := -1, 0
		for {
			got := receive(t, self)
			if got == "end" {
				break
			}
			if i, ok := got.(int); ok {
				if i <= last {
					t.Fatalf("%d came after %d", i, last)
				}
				last = i
				n++
			}
		}
		t.Logf("%d of %d arrived, in order", n, sent.Load())
	})
	t.Run("SIG-10_LINK-20_full_window", func(t *testing.T) {
		m, rts := mesh(t, 2)
		a, b := rts[0], rts[1]
		self, here := b.Attach(process.WithTrapExit()), a.Attach()
		dying := a.Spawn(func(p *process.Process) error {
			_, err := p.Receive(bg)
			return errors.Join(err, errors.New("behind a full window"))
		})
		self.Monitor(dying)
		here.Monitor(dying)
		if err := a.SendConfirmed(within(t, 10*time.Second), self.PID(), "hello"); err != nil {
			t.Fatal(err)
		}
		// The other node takes nothing in, though its ticks go on: the session lasts, however long this takes.
		hold := make(holder)
		release := sync.OnceFunc(func() { close(hold) })
		defer release()
		for _, n := range m.Nodes() { // a protocol is spoken where both know it
			if err := n.Handle(node.ProtocolUser, hold); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Node(1).Send(within(t, 10*time.Second), m.Node(2).ID(), node.ProtocolUser, 0, []byte("hold")); err != nil {
			t.Fatal(err)
		}
		load := make([]byte, 64<<10)
		meshtest.Eventually(t, "a full window", func() bool {
			if !errors.Is(a.SendTo(bg, self.PID(), load, node.NoWait), node.ErrWouldBlock) {
				return false
			}
			ctx, cancel := context.WithTimeout(bg, 10*time.Millisecond)
			defer cancel()
			return errors.Is(a.Send(ctx, self.PID(), load), context.DeadlineExceeded)
		})
		_ = a.Send(bg, dying, "end") // its DOWN waits in line
		if got, ok := receive(t, here).(process.Down); !ok {
			t.Fatal(got)
		}
		a.Exit(self.PID(), errors.New("so does an exit signal"))
		release()
		var downs, exits int
		for downs+exits < 2 {
			switch got := receive(t, self).(type) {
			case process.Down:
				downs++
				if !strings.Contains(got.Reason.Error(), "full window") {
					t.Fatal(got.Reason)
				}
			case process.Exit:
				exits++
			}
		}
		if downs != 1 || exits != 1 {
			t.Fatalf("%d DOWN, %d EXIT", downs, exits)
		}
	})
	t.Run("node_stops", func(t *testing.T) {
		m, rts := mesh(t, 1)
		self := rts[0].Attach()
		m.Stop(1)
		if _, err := self.Receive(bg); !errors.Is(err, process.ErrKilled) {
			t.Fatal(err)
		}
		if err := rts[0].Send(bg, self.PID(), 1); !errors.Is(err, process.ErrClosed) {
			t.Fatal(err)
		}
	})
}

// holder is a handler that holds up its node until it is closed.
type holder chan struct{}

func (holder) PeerUp(node.Peer)                {}
func (holder) PeerDown(node.Peer, node.Reason) {}
func (h holder) Frame(node.Peer, []byte)       { <-h }
