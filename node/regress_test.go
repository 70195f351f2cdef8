package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

// What was sent right behind a goodbye was once put into a message of another session, and reached the wrong node: the
// goodbye's buffer was in use again while its session still gathered frames in it.
func TestNothingSentBehindAGoodbyeReachesAnotherNode(t *testing.T) {
	a := start(t, "a")
	b := start(t, "b", joining(a))
	c := start(t, "c", joining(a))
	connected(t, a, b)
	connected(t, a, c)
	atB, atC := record(t, b), record(t, c)
	record(t, a)
	send(t, a, b, "hello b")
	send(t, a, c, "hello c")
	for range 200 {
		var group sync.WaitGroup
		group.Go(func() {
			for range 20 {
				_ = a.Send(t.Context(), c.ID(), user, node.NoConnect, []byte("for c"))
			}
		})
		a.Disconnect(b.Name())
		for range 20 {
			_ = a.Send(t.Context(), b.ID(), user, node.NoConnect, []byte("for b"))
		}
		group.Wait()
		if _, err := a.Connect(within(t), b.Name()); err != nil {
			t.Fatal(err)
		}
	}
	settled(t, a, c)
	for _, data := range atC.frames(a.Name()) {
		if data == "for b" {
			t.Fatal("a frame for b has reached c")
		}
	}
	for _, data := range atB.frames(a.Name()) {
		if data == "for c" {
			t.Fatal("a frame for c has reached b")
		}
	}
}

// A send right behind Disconnect, by the same goroutine, must not go into the session that is ending (NET-15).
func TestNET(t *testing.T) {
	t.Run("NET-15_send_right_after_disconnect_arrives", func(t *testing.T) {
		a, b := pair(t)
		record(t, a)
		at := record(t, b)
		const rounds = 20 // each waits for a tick
		for i := range rounds {
			send(t, a, b, fmt.Sprint(i))
			settled(t, a, b)
			a.Disconnect(b.Name())
		}
		send(t, a, b, "last")
		meshtest.Eventually(t, "the last frame", func() bool { return len(at.frames(a.Name())) == rounds+1 })
	})
}

// Connect once said "no error" and named no peer when a session ended as soon as it was up, and hung when another
// goroutine was just disconnecting.
func TestConnectWhileOthersDisconnect(t *testing.T) {
	a, b := pair(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var group sync.WaitGroup
	for _, n := range []*node.Node{a, b} {
		group.Go(func() {
			for ctx.Err() == nil {
				a.Disconnect(b.Name())
				time.Sleep(time.Millisecond)
			}
		})
		group.Go(func() {
			other := a
			if n == a {
				other = b
			}
			for ctx.Err() == nil {
				began := time.Now()
				p, err := n.Connect(t.Context(), other.Name())
				if err == nil && p.ID != other.ID() {
					t.Errorf("Connect returns %v and no error", p)
				}
				if err != nil && !errors.Is(err, node.ErrNotConnected) {
					t.Errorf("Connect: %v", err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("Connect took %v", took)
				}
			}
		})
	}
	group.Wait()
	if _, err := a.Connect(within(t), b.Name()); err != nil {
		t.Fatal(err)
	}
	connected(t, a, b)
}

func TestProtocolOutOfRange(t *testing.T) {
	a, b := pair(t)
	record(t, a)
	at := record(t, b)
	for _, p := range []node.Protocol{0, 64, 64 + user, 255} {
		if err := a.Send(within(t), b.ID(), p, 0, []byte("x")); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("Send with protocol %d: %v", p, err)
		}
		if err := a.Post(b.ID(), p, []byte("x")); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("Post with protocol %d: %v", p, err)
		}
		if err := a.Handle(p, at); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("Handle of protocol %d: %v", p, err)
		}
	}
	send(t, a, b, "good")
	meshtest.Eventually(t, "the good frame", func() bool { return len(at.frames(a.Name())) > 0 })
	if got := at.frames(a.Name()); len(got) != 1 || got[0] != "good" {
		t.Errorf("%q has arrived", got)
	}
}

// A goodbye right behind the opening once overtook the message that tells the peer of the session, and so did the hello
// of the next one: then only one side saw it.
func TestAGoodbyeDoesNotOvertakeTheOpening(t *testing.T) {
	a, b := pair(t)
	atA, atB := watch(t, a), watch(t, b)
	const rounds = 200
	for i := range rounds {
		a.Disconnect(b.Name())
		if _, err := a.Connect(within(t), b.Name()); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			connected(t, a, b)
		}
	}
	atA.await(t, 2*rounds)
	defer func() {
		if t.Failed() {
			t.Logf("%d events at a, %d at b", len(atA.all()), len(atB.all()))
			for i, e := range atA.all() {
				if i < len(atB.all()) && (atB.all()[i].Peer.Conn != e.Peer.Conn || atB.all()[i].Up == e.Up) {
					t.Logf("event %d: %+v at a, %+v at b", i, e, atB.all()[i])
					break
				}
			}
		}
	}()
	meshtest.Eventually(t, "as many events on the other side", func() bool { return len(atB.all()) == 2*rounds })
}

// Disconnect ends a session behind what was sent in it, also where the next one opens at once, whoever of the two calls.
func TestDisconnectLosesNothingThatWasSent(t *testing.T) {
	for _, by := range []string{"lower", "higher"} {
		t.Run("by_the_"+by, func(t *testing.T) {
			a, b := pair(t)
			if by == "higher" {
				a, b = b, a
			}
			record(t, a)
			at := record(t, b)
			events := watch(t, b)
			const rounds, each = 50, 200
			for r := range rounds {
				for i := range each {
					send(t, a, b, fmt.Sprint(r*each+i))
				}
				a.Disconnect(b.Name())
				if _, err := a.Connect(within(t), b.Name()); err != nil {
					t.Fatal(err)
				}
			}
			done := func() bool {
				c := b.Counters()
				return c["frames_in"]+c["frames_late"] == rounds*each
			}
			meshtest.Eventually(t, "all frames", done)
			for _, e := range events.all() {
				if !e.Up && e.Reason != node.ReasonDisconnect {
					t.Errorf("%+v", e)
				}
			}
			if late := b.Counters()["frames_late"]; late != 0 {
				t.Fatalf("%d frames came behind the end of their session", late)
			}
			for i, data := range at.frames(a.Name()) {
				if data != fmt.Sprint(i) {
					t.Fatalf("frame %d is %s", i, data)
				}
			}
		})
	}
}

// A handler that takes long once had frames dropped that had arrived long before their sender was killed: the session's end
// waits for its fence, and a timer ran out before.
func TestFramesThatArrivedAreDeliveredBeforeTheEnd(t *testing.T) {
	a, b := pair(t, ticking(100*time.Millisecond))
	gate := make(chan struct{})
	at := &recorder{slow: func(data string) {
		if data == "stop" {
			<-gate
		}
	}}
	record(t, b)
	handle(t, a, at)
	events := watch(t, a)
	send(t, b, a, "stop")
	const count = 1000
	for i := range count {
		send(t, b, a, fmt.Sprint(i))
	}
	// What is published behind the frames has arrived when it is counted among those that wait.
	if err := b.PublishOrdered(node.FrameSubject(a.ID().Incarnation), []byte{1, 77, 3}); err != nil {
		t.Fatal(err)
	}
	waiting := -1
	meshtest.Eventually(t, "the arrival of all", func() bool {
		before := waiting
		time.Sleep(50 * time.Millisecond)
		waiting = a.WaitingMessages()
		return waiting > 0 && waiting == before
	})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	meshtest.Eventually(t, "the end in the table", func() bool {
		return !slices.ContainsFunc(a.Report().Peers, func(p node.PeerReport) bool { return p.Connected })
	})
	time.Sleep(600 * time.Millisecond) // twice the time that the fence has
	close(gate)
	if e := events.await(t, 1); e.Up || e.Reason != node.ReasonConnectionClosed {
		t.Errorf("%+v", e)
	}
	if got := len(at.frames(b.Name())); got != count+1 || a.Counters()["frames_late"] != 0 {
		t.Errorf("%d frames were delivered, %d dropped", got, a.Counters()["frames_late"])
	}
	inTurn(t, at.of(b.Name()))
}
