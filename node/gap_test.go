package node_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/wire"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

func TestGap(t *testing.T) {
	for _, lost := range []uint64{1, 7, 100_000} {
		t.Run(fmt.Sprintf("%d_lost_frames_are_one_gap_of_that_size", lost), func(t *testing.T) {
			a, b := pair(t)
			record(t, a)
			at := record(t, b)
			atA, atB := watch(t, a), watch(t, b)
			send(t, a, b, "before")
			meshtest.Eventually(t, "the first frame", func() bool { return len(at.frames(a.Name())) == 1 })
			old, _ := b.Peer(a.Name())
			a.LoseFrames(b.Name(), lost)
			for i := range 10 {
				_ = a.Send(within(t), a.ID(), user, node.NoConnect, nil)
				_ = a.Send(within(t), b.ID(), user, node.NoConnect, fmt.Append(nil, "behind ", i))
			}
			down, up := atB.await(t, 1), atB.await(t, 2)
			if down.Up || down.Reason != node.ReasonGap || down.Lost != lost || down.Peer != old || down.Evidence == "" {
				t.Errorf("%+v", down)
			}
			if !up.Up || up.Peer.ID != a.ID() || up.Peer.Conn == old.Conn {
				t.Errorf("%+v", up)
			}
			if e := atA.await(t, 1); e.Up || e.Reason != node.ReasonGap || e.Peer.Conn != old.Conn {
				t.Errorf("at the sender: %+v", e)
			}
			connected(t, a, b)
			send(t, a, b, "after")
			meshtest.Eventually(t, "a frame of the new session", func() bool { return slices.Contains(at.frames(a.Name()), "after") })
			inTurn(t, at.of(a.Name()))
			for _, h := range at.of(a.Name()) {
				if h.peer.Conn == old.Conn && strings.HasPrefix(h.data, "behind") {
					t.Fatalf("%q was delivered behind the gap", h.data)
				}
			}
			if got := b.Counters()["frames_lost"]; got != lost {
				t.Errorf("%d frames are counted as lost", got)
			}
			if got := atB.all(); len(got) != 2 {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("a_lost_tail_is_noticed", func(t *testing.T) {
		a, b := pair(t)
		record(t, a)
		at := record(t, b)
		events := watch(t, b)
		send(t, a, b, "before")
		meshtest.Eventually(t, "the first frame", func() bool { return len(at.frames(a.Name())) == 1 })
		a.LoseFrames(b.Name(), 3)
		if e := events.await(t, 1); e.Reason != node.ReasonGap || e.Lost != 3 {
			t.Errorf("%+v", e)
		}
		if e := events.await(t, 2); !e.Up {
			t.Errorf("%+v", e)
		}
	})
	t.Run("a_cut_of_the_own_connection_ends_all_sessions", func(t *testing.T) {
		a := start(t, "a")
		b := start(t, "b", joining(a))
		c := start(t, "c", joining(a))
		connected(t, a, b)
		connected(t, a, c)
		connected(t, b, c)
		atA, atB, atC := watch(t, a), watch(t, b), watch(t, c)
		a.CutOrdered()
		for _, e := range []node.Event{atA.await(t, 1), atA.await(t, 2), atB.await(t, 1), atC.await(t, 1)} {
			if e.Up || e.Reason != node.ReasonGap {
				t.Errorf("%+v", e)
			}
		}
		connected(t, a, b)
		connected(t, a, c)
		if got := atB.all(); slices.ContainsFunc(got, func(e node.Event) bool { return e.Peer.ID == c.ID() }) {
			t.Errorf("the others are affected: %+v", got)
		}
	})
}

// What a broken peer says hurts its own session and nobody else's.
func TestHostileBytes(t *testing.T) {
	victim := start(t, "victim")
	bad := start(t, "bad", joining(victim))
	good := start(t, "good", joining(victim))
	connected(t, victim, bad)
	connected(t, victim, good)
	connected(t, bad, good)
	at := record(t, victim)
	record(t, bad)
	record(t, good)
	events := watch(t, victim)
	frames := node.FrameSubject(victim.ID().Incarnation)
	conn := func() uint64 { p, _ := victim.Peer(bad.Name()); return p.Conn }
	next := func() uint64 { return bad.LastSent(victim.Name()) + 1 }
	corrupt := func() uint64 { return victim.Counters()["messages_corrupt"] }
	serial := 0
	alive := func(t *testing.T) {
		t.Helper()
		serial++
		data := fmt.Sprint("alive ", serial)
		send(t, good, victim, data)
		meshtest.Eventually(t, "a frame of the good one", func() bool { return slices.Contains(at.frames(good.Name()), data) })
		if got := events.all(); slices.ContainsFunc(got, func(e node.Event) bool { return e.Peer.ID == good.ID() }) {
			t.Fatalf("the good one is hurt: %+v", got)
		}
	}
	settle := func(t *testing.T) {
		t.Helper()
		connected(t, victim, bad)
		send(t, bad, victim, "speaks")
	}
	frame := wire.AppendFrame(nil, byte(user), wire.Whole, []byte("forged"))
	for name, c := range map[string]struct {
		data   func() []byte
		lost   uint64 // the gap that it makes; zero for none
		counts bool   // as corrupt
	}{
		"empty":           {func() []byte { return nil }, 0, true},
		"other_version":   {func() []byte { return []byte{9, 1, 3, 0} }, 0, true},
		"short_batch":     {func() []byte { return []byte{1, 1, 23, 0} }, 0, true},
		"cut_frame":       {func() []byte { return node.Batch(conn(), next(), 3, frame[:4]) }, 3, true},
		"half_a_batch":    {func() []byte { return node.Batch(conn(), next(), 5, frame) }, 4, true},
		"huge_count":      {func() []byte { return node.Batch(conn(), next(), 1<<32-1, nil) }, 1<<32 - 1, true},
		"number_ahead":    {func() []byte { return node.Batch(conn(), next()+8, 1, frame) }, 8, false},
		"number_past":     {func() []byte { return node.Batch(conn(), 0, 1, frame) }, 0, true},
		"mark_ahead":      {func() []byte { return wire.AppendMark(nil, conn(), next()+2) }, 3, false},
		"unknown_session": {func() []byte { return node.Batch(12345, 1, 1, frame) }, 0, false},
		"unknown_type":    {func() []byte { return []byte{1, 77, 3, 1, 2, 3} }, 0, false},
		"forged_fence":    {func() []byte { return wire.AppendFence(nil, 4711) }, 0, false},
		"bad_control":     {func() []byte { return []byte{1, 3, 3, 0xff, 0xff} }, 0, true},
		"broadcast_lies":  {func() []byte { return []byte{1, 2, 11, 1, 0, 0, 0, 255, 255, 255, 255, 0} }, 0, true},
		"part_of_nothing": {func() []byte {
			return node.Batch(conn(), next(), 1, wire.AppendFrame(nil, byte(user), wire.More, []byte{9, 1}))
		}, 1, true},
		"part_without_id": {func() []byte { return node.Batch(conn(), next(), 1, wire.AppendFrame(nil, byte(user), wire.First)) }, 1, true},
		"part_of_exabytes": {func() []byte {
			return node.Batch(conn(), next(), 1, wire.AppendFrame(nil, byte(user), wire.First, binary.AppendUvarint([]byte{1}, 1<<60)))
		}, 1, true},
		"short_protocols": {func() []byte { return node.Batch(conn(), next(), 1, wire.AppendFrame(nil, 0, wire.Whole, []byte{1})) }, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			settle(t)
			before, seen, session := corrupt(), len(events.all()), conn()
			if err := bad.PublishOrdered(frames, c.data()); err != nil {
				t.Fatal(err)
			}
			if c.counts {
				meshtest.Eventually(t, "the count", func() bool { return corrupt() > before })
			}
			alive(t)
			if c.lost == 0 {
				if p, _ := victim.Peer(bad.Name()); p.Conn != session || len(events.all()) != seen {
					t.Fatalf("%+v", events.all()[seen:])
				}
				return
			}
			if e := events.await(t, seen+1); e.Up || e.Reason != node.ReasonGap || e.Lost != c.lost || e.Peer.ID != bad.ID() {
				t.Errorf("%+v", e)
			}
			events.await(t, seen+2)
		})
	}
	t.Run("garbage_on_the_control_account", func(t *testing.T) {
		settle(t)
		before, seen := corrupt(), len(events.all())
		garbage := [][]byte{nil, {0}, {0xff, 0xff}, []byte("hello"), slices.Repeat([]byte{0x81}, 5000), {0xa1, 0x01, 0x07}}
		for _, g := range garbage {
			if err := bad.PublishControl(node.ControlSubject(victim.ID().Incarnation), g); err != nil {
				t.Fatal(err)
			}
		}
		meshtest.Eventually(t, "the count", func() bool { return corrupt() == before+uint64(len(garbage)) })
		alive(t)
		if got := events.all(); len(got) != seen {
			t.Errorf("%+v", got[seen:])
		}
	})
	t.Run("control_messages_of_strangers", func(t *testing.T) {
		settle(t)
		seen := len(events.all())
		p, _ := victim.Peer(good.Name())
		for v := wire.Knock; v < 20; v++ {
			for _, who := range []wire.Info{
				{Name: "stranger@127.0.0.1", Incarnation: 99}, {Name: "", Incarnation: 99}, {Name: "a@b@c", Incarnation: 98},
				{Name: bad.Name(), Incarnation: bad.ID().Incarnation}, // in the name of bad, of good's session
			} {
				c := wire.Control{Verb: v, From: who, Conn: p.Conn, Why: "gap", Taken: 1 << 62, Last: 1 << 62, Window: 1}
				if err := bad.PublishControl(node.ControlSubject(victim.ID().Incarnation), c.Encode()); err != nil {
					t.Fatal(err)
				}
				if err := bad.PublishOrdered(frames, c.EncodeOrdered()); err != nil {
					t.Fatal(err)
				}
			}
		}
		alive(t)
		connected(t, victim, good)
		connected(t, victim, bad)
		for _, e := range events.all()[seen:] {
			if e.Peer.ID != bad.ID() {
				t.Errorf("%+v", e)
			}
		}
		if list := victim.Nodes(node.Known, node.Connected); slices.Contains(list, "a@b@c") || slices.Contains(list, "") {
			t.Errorf("%q", list)
		}
	})
	if got := membership.Misses; got != 4 {
		t.Errorf("%d misses", got)
	}
}
