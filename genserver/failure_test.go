package genserver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kith-mesh/kith/genserver"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
)

func TestGENFailure(t *testing.T) {
	t.Run("GEN-08_GEN-18_node_dies", func(t *testing.T) {
		m, here, places := setup(t)
		pid, _ := start(t, places[1].rt, process.WithName("x"))
		start(t, here, process.WithName("x"))
		pending := genserver.SendRequest(bg, here, pid, Mute{})
		nodes := []string{m.Node(1).Name(), m.Node(2).Name()}
		multi := make(chan []genserver.BadNode, 1)
		go func() {
			_, bad, _ := genserver.MultiCall(bg, here, nodes, "x", Mute{})
			multi <- bad
		}()
		ask := func() bool { // behind the request of the multi-call, on the same session
			_, err := genserver.Call(bg, here, pid, Add{})
			return err == nil
		}
		meshtest.Eventually(t, "the server answers", ask)
		m.Kill(2)
		var down *genserver.NodeDownError
		if _, err := pending.Wait(within(t, 10*time.Second)); !errors.As(err, &down) || down.Node != pid.Node {
			t.Fatal(err)
		}
		if err := genserver.Stop(bg, here, process.Name{Name: "x"}, nil); err != nil { // the other stays mute
			t.Fatal(err)
		}
		if bad := <-multi; len(bad) != 2 || !errors.As(bad[1].Err, &down) || down.Node != pid.Node {
			t.Fatal(bad)
		}
	})
	t.Run("GEN-31_frozen_node", func(t *testing.T) {
		m, here, places := setup(t)
		for _, at := range places {
			start(t, at.rt, process.WithName("x"))
		}
		one, two := m.Node(1).Name(), m.Node(2).Name()
		m.Cut(1, 2)
		begin := time.Now()
		replies, bad, err := genserver.MultiCall(bg, here, []string{one, two}, "x", Add{N: 1})
		if took := time.Since(begin); err != nil || len(replies) != 1 || len(bad) != 1 || bad[0].Node != two || took > 10*time.Second {
			t.Fatal(replies, bad, err, took)
		}
	})
	t.Run("GEN-14_cast_to_a_silent_node", func(t *testing.T) {
		m, here, places := setup(t)
		pid, _ := start(t, places[1].rt)
		m.Cut(1, 2)
		meshtest.Eventually(t, "nodedown", func() bool { return !m.Connected(1, 2) })
		begin := time.Now()
		for range 100 {
			if err := genserver.Cast(bg, here, pid, AddLater{1}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took > time.Second {
			t.Fatal(took)
		}
	})
	t.Run("GEN-24_no_surprising_request", func(t *testing.T) {
		m, here, places := setup(t)
		pid, _ := start(t, places[1].rt)
		m.Cut(1, 2)
		meshtest.Eventually(t, "nodedown", func() bool { return !m.Connected(1, 2) })
		if _, err := genserver.Call(within(t, 100*time.Millisecond), here, pid, Add{N: 1}); err == nil {
			t.Fatal("called across a cut")
		}
		m.Mend(1, 2)
		m.WaitFull()
		if got, err := genserver.Call(bg, here, pid, Add{}); got != 0 || err != nil {
			t.Fatal(got, err)
		}
	})
	t.Run("GEN-29_long_queues", func(t *testing.T) {
		_, here, places := setup(t)
		start(t, here, process.WithName("x"))
		self := here.Attach(process.WithHighWater(1 << 30))
		defer self.Detach(nil)
		for range 500_000 {
			_ = here.Send(bg, self.PID(), "waits")
		}
		begin := time.Now()
		for range 100 {
			if _, bad, _ := genserver.MultiCall(self.Context(), here, []string{places[0].rt.Node().Name()}, "x", Add{}); bad != nil {
				t.Fatal(bad)
			}
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Fatal(took)
		}
	})
	t.Run("closed", func(t *testing.T) {
		_, here, places := setup(t)
		pid, _ := start(t, places[1].rt)
		p := genserver.SendRequest(bg, here, pid, Mute{})
		_ = here.Close()
		if _, err := p.Wait(bg); !errors.Is(err, process.ErrClosed) {
			t.Fatal(err)
		}
		if _, err := genserver.Call(bg, here, pid, Add{}); !errors.Is(err, process.ErrClosed) {
			t.Fatal(err)
		}
		if err := genserver.Cast(bg, here, pid, AddLater{}); !errors.Is(err, process.ErrClosed) {
			t.Fatal(err)
		}
		if _, err := server(nil).Start(bg, here); !errors.Is(err, process.ErrClosed) {
			t.Fatal(err)
		}
	})
}
