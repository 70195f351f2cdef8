package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

// A clean leave is a shutdown, told apart from a crash, and everything that was sent before it arrives.
func TestLeave(t *testing.T) {
	t.Run("loses_nothing_that_was_sent", func(t *testing.T) {
		runs := 100
		switch {
		case os.Getenv(soakEnv) != "":
			runs = 1000
		case testing.Short():
			runs = 20
		}
		b := start(t, "b")
		c := start(t, "c", joining(b))
		connected(t, b, c)
		atB, atC := record(t, b), record(t, c)
		eventsB := watch(t, b)
		for run := range runs {
			a := start(t, fmt.Sprint("a", run), joining(b))
			connected(t, a, b)
			connected(t, a, c)
			record(t, a)
			count := 1 + run*37%400
			for i := range count {
				send(t, a, b, fmt.Sprint(i))
				send(t, a, c, fmt.Sprint(i))
			}
			send(t, a, b, string(make([]byte, 300_000)))
			if err := a.Shutdown(within(t)); err != nil {
				t.Fatal(err)
			}
			// When Shutdown returns, the peers have it all: there is nothing to wait for but the writing down.
			for at, want := range map[*recorder]int{atB: count + 1, atC: count} {
				meshtest.Eventually(t, "the end", func() bool { l := at.of(a.Name()); return l[len(l)-1].kind == "down" })
				if got := len(at.frames(a.Name())); got != want {
					t.Fatalf("run %d: %d of %d frames have arrived", run, got, want)
				}
				list := at.of(a.Name())
				if last := list[len(list)-1]; last.reason != node.ReasonShutdown {
					t.Fatalf("run %d: the end is %+v", run, last)
				}
			}
		}
		for _, e := range eventsB.all() {
			if !e.Up && e.Reason != node.ReasonShutdown {
				t.Errorf("%+v", e)
			}
		}
	})
	t.Run("all_at_once", func(t *testing.T) {
		a := start(t, "a")
		nodes := []*node.Node{a}
		for i := range 3 {
			nodes = append(nodes, start(t, fmt.Sprint("n", i), joining(a)))
		}
		for i, x := range nodes {
			for _, y := range nodes[i+1:] {
				connected(t, x, y)
			}
		}
		var all []*events
		for _, n := range nodes {
			all = append(all, watch(t, n))
		}
		began := time.Now()
		var group sync.WaitGroup
		for _, n := range nodes {
			group.Go(func() {
				if err := n.Shutdown(within(t)); err != nil {
					t.Errorf("%s: %v", n.Name(), err)
				}
			})
		}
		group.Wait()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		for _, e := range all {
			for _, ev := range e.all() {
				if ev.Reason != node.ReasonShutdown {
					t.Errorf("%+v", ev)
				}
			}
		}
	})
	t.Run("does_not_wait_for_ever_for_a_peer_that_takes_nothing", func(t *testing.T) {
		m := meshtest.New(t, 2, meshtest.Tick(10*time.Second))
		a, b := m.Node(1), m.Node(2)
		record(t, a)
		record(t, b)
		send(t, a, b, "x")
		m.Cut(1, 2)
		send(t, a, b, "lost")
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		began := time.Now()
		if err := a.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		select {
		case <-a.Done():
		default:
			t.Error("it has not stopped")
		}
		m.MendAll()
	})
	t.Run("those_who_answer_beside_peers_that_take_nothing", func(t *testing.T) {
		m := meshtest.New(t, 5, meshtest.Tick(10*time.Second))
		a, b := m.Node(1), m.Node(2)
		for _, n := range m.Nodes() {
			record(t, n)
		}
		events := watch(t, b)
		for i := 3; i <= 5; i++ {
			send(t, a, m.Node(i), "x")
			m.Cut(1, i)
			send(t, a, m.Node(i), "lost")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first := make(chan error, 1)
		go func() { first <- a.Shutdown(ctx) }()
		if e := events.await(t, 1); e.Peer.ID != a.ID() || e.Reason != node.ReasonShutdown {
			t.Errorf("%+v", e)
		}
		select {
		case err := <-first:
			t.Errorf("it was held up by nobody: %v", err)
		default:
		}
		again, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.Shutdown(again); !errors.Is(err, context.Canceled) {
			t.Errorf("a second call waits longer than its context: %v", err)
		}
		if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		m.MendAll()
	})
	t.Run("peer_that_is_gone_before_it_answers", func(t *testing.T) {
		a, b := pair(t)
		events := watch(t, a)
		standing, held := make(chan struct{}), make(chan struct{})
		var group sync.WaitGroup
		defer group.Wait()
		defer close(held)
		group.Go(func() { _ = b.Do(t.Context(), func() { close(standing); <-held }) })
		<-standing
		group.Go(func() {
			if err := a.Shutdown(within(t)); err != nil {
				t.Errorf("%v", err)
			}
		})
		meshtest.Eventually(t, "the goodbye is there and not read", func() bool { return b.WaitingMessages() > 0 })
		if err := b.Crash(held); err != nil {
			t.Errorf("%v", err)
		}
		if e := events.await(t, 1); e.Reason != node.ReasonShutdown {
			t.Errorf("%+v", e)
		}
	})
	t.Run("crash_is_no_shutdown", func(t *testing.T) {
		a, b := pair(t)
		events := watch(t, b)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if e := events.await(t, 1); e.Reason != node.ReasonConnectionClosed || e.Evidence == "" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("everything_returns_ErrClosed_afterwards", func(t *testing.T) {
		for how, stop := range map[string]func(*node.Node) error{
			"Shutdown": func(n *node.Node) error { return n.Shutdown(t.Context()) },
			"Close":    (*node.Node).Close,
		} {
			a, b := pair(t)
			at := record(t, a)
			waiting := make(chan error, 1)
			go func() { waiting <- a.WaitPeers(t.Context(), 5) }()
			if err := stop(a); err != nil {
				t.Fatalf("%s: %v", how, err)
			}
			if err := errors.Join(stop(a), a.Close(), a.Shutdown(t.Context())); err != nil {
				t.Errorf("%s: again: %v", how, err)
			}
			<-a.Done()
			_, pinged := a.Ping(t.Context(), b.Name())
			_, self := a.Ping(t.Context(), a.Name())
			_, connect := a.Connect(t.Context(), b.Name())
			_, cast := a.Broadcast(t.Context(), "x", user, []node.ID{b.ID()})
			for what, err := range map[string]error{
				"Send": a.Send(t.Context(), b.ID(), user, 0, nil), "Post": a.Post(b.ID(), user, nil), "Ping": pinged, "Ping self": self,
				"Connect": connect, "Handle": a.Handle(user+1, at), "Do": a.Do(t.Context(), func() {}), "Broadcast": cast,
				"SetTick": a.SetTick(time.Second), "WaitReady": a.WaitReady(t.Context()), "WaitPeers": a.WaitPeers(t.Context(), 1),
				"a waiting WaitPeers": <-waiting, "Subscribe": a.Subscribe("x"),
			} {
				if !errors.Is(err, node.ErrClosed) {
					t.Errorf("after %s, %s: %v", how, what, err)
				}
			}
			if a.Disconnect(b.Name()) || len(a.Nodes(node.Connected, node.Known)) != 0 || len(a.Peers()) != 0 {
				t.Errorf("after %s it has peers", how)
			}
			if list := at.of(b.Name()); len(list) > 0 && (list[len(list)-1].kind != "down" || list[len(list)-1].reason != node.ReasonShutdown) {
				t.Errorf("after %s the last thing a handler saw is %+v", how, list[len(list)-1])
			}
			_ = a.Report()
		}
	})
}
