package node

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/wire"
)

// writer is an outbox without its goroutine: the test publishes one operation at a time.
type writer struct {
	n         *Node
	sessions  []*session
	published []published
}

type published struct {
	subject string
	data    []byte
}

func newWriter(sessions int) *writer {
	w := &writer{n: &Node{id: ID{"self@h", 1}, cfg: Config{MaxMessage: defaultMaxMessage}}}
	w.n.out = newOutbox(func(subject string, data []byte) error {
		w.published = append(w.published, published{subject, append([]byte(nil), data...)})
		return nil
	}, func() int64 { return 0 }, func(error) {}) // a clock that stands: all is left to the writer
	for i := range sessions {
		id := ID{fmt.Sprintf("n%d@h", i), uint64(100 + i)}
		w.sessions = append(w.sessions, newSession(Peer{ID: id, Conn: uint64(1000 + i)}, wire.Info{}, 1<<30, subjects{}.frames(id.Incarnation)))
	}
	return w
}

// step publishes the oldest operation, if there is one.
func (w *writer) step() bool {
	b := w.n.out
	b.mu.Lock()
	if len(b.queue) == 0 {
		b.mu.Unlock()
		return false
	}
	o := b.queue[0]
	b.queue = b.queue[1:]
	b.mu.Unlock()
	b.send(o)
	return true
}

// delivered replays what session i's peer receives, and checks the numbers.
func (w *writer) delivered(t *rapid.T, i int) (frames []string) {
	s := w.sessions[i]
	next := uint64(1)
	for _, m := range w.published {
		var b wire.Batch
		var body []byte
		switch kind, err := wire.Peek(m.data); {
		case err != nil:
			t.Fatal(err)
		case kind == wire.TypeBatch && m.subject == s.subject:
			b, body, err = wire.ParseBatch(m.data)
			if err != nil || b.Conn != s.peer.Conn {
				t.Fatalf("batch %+v on the subject of session %d: %v", b, s.peer.Conn, err)
			}
		case kind == wire.TypeBroadcast:
			var listed bool
			if b, body, listed, err = wire.ParseBroadcast(m.data, s.peer.Incarnation); err != nil || !listed {
				continue
			}
		case kind == wire.TypeControl && m.subject == s.subject:
			frames = append(frames, "bye")
			continue
		case kind == wire.TypeMark && m.subject == s.subject:
			if _, last, err := wire.ParseMark(m.data); err != nil || last != next-1 {
				t.Fatalf("a mark says %d behind frame %d, %v", last, next-1, err)
			}
			continue
		default:
			continue
		}
		if b.First != next {
			t.Fatalf("session %d: first number %d where %d is due", i, b.First, next)
		}
		next += uint64(b.Count)
		for range b.Count {
			_, _, payload, rest, err := wire.NextFrame(body)
			if err != nil {
				t.Fatal(err)
			}
			frames, body = append(frames, string(payload)), rest
		}
		if len(body) != 0 {
			t.Fatalf("%d bytes behind the last frame", len(body))
		}
	}
	return frames
}

// Whatever is sent, posted, broadcast, marked and parted, each peer gets its own frames, all, in order, numbered.
func TestOutboxKeepsEachSessionsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const count = 3
		w := newWriter(count)
		var want [count][]string
		serial := 0
		payload := func(i int) string {
			serial++
			return fmt.Sprintf("%d:%d:%s", i, serial, strings.Repeat("x", rapid.SampledFrom([]int{0, 10, 3000, 40_000}).Draw(t, "size")))
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, count-1).Draw(t, "session")
			s := w.sessions[i]
			switch rapid.SampledFrom([]string{"send", "send", "send", "post", "broadcast", "mark", "part", "write", "write"}).Draw(t, "what") {
			case "send":
				data := payload(i)
				if err := s.enqueue(context.Background(), NoWait, ProtocolUser, wire.Whole, w.n.out, []byte(data)); err == nil {
					want[i] = append(want[i], data)
				}
			case "post":
				data := payload(i)
				if _, err := s.post(ProtocolUser, w.n.out, []byte(data)); err == nil {
					want[i] = append(want[i], data)
				}
			case "broadcast":
				data := payload(9)
				targets := append([]*session(nil), w.sessions...)
				if rapid.Bool().Draw(t, "not to all") {
					targets = targets[:2]
				}
				sent := map[*session]bool{}
				for _, s := range targets {
					sent[s] = true
				}
				for _, s := range w.n.broadcast("kith.g.x", ProtocolUser, targets, wire.FrameSize(len(data)), [][]byte{[]byte(data)}) {
					sent[s] = false
				}
				for j, s := range w.sessions {
					if sent[s] {
						want[j] = append(want[j], data)
					}
				}
			case "mark":
				o := newOp(opMark)
				o.session = s
				w.n.out.push(o)
			case "part":
				if w.n.part(s, membership.Disconnect) {
					want[i] = append(want[i], "bye")
				}
			case "write":
				w.step()
			}
		}
		for w.step() {
		}
		for i, s := range w.sessions {
			if s.unsent != 0 {
				t.Fatalf("session %d: %d bytes count as waiting where nothing does", i, s.unsent)
			}
			if got := w.delivered(t, i); strings.Join(got, "\n") != strings.Join(want[i], "\n") {
				t.Fatalf("session %d gets\n%q\nwant\n%q", i, got, want[i])
			}
			if s.last != nil {
				t.Fatalf("session %d still holds an operation that has left", i)
			}
		}
	})
}

// What is charged at the sender is what the receiver counts, message by message: a difference would close the window
// for good, little by little.
func TestChargesOfBothSidesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWriter(2)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			size := rapid.SampledFrom([]int{0, 1, 127, 128, 20_000, 70_000}).Draw(t, "size")
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				_, _ = w.sessions[0].post(ProtocolUser, w.n.out, make([]byte, size))
			case 1:
				w.n.broadcast("kith.g.x", ProtocolUser, append([]*session(nil), w.sessions...), wire.FrameSize(size), [][]byte{make([]byte, size)})
			case 2:
				w.step()
			}
		}
		for w.step() {
		}
		for i, s := range w.sessions {
			counted := uint64(0)
			for _, m := range w.published {
				kind, _ := wire.Peek(m.data)
				if kind == wire.TypeBroadcast || m.subject == s.subject {
					counted += wire.MessageCharge + uint64(len(m.data))
				}
			}
			if counted != s.queued {
				t.Fatalf("session %d: %d charged by the sender, %d by the receiver", i, s.queued, counted)
			}
		}
	})
}

// Whoever streams to one peer has so much ahead of what others send to another peer, and no more, however wide the
// window; and goes on when that has left.
func TestStreamLeavesRoomForOthers(t *testing.T) {
	w := newWriter(2)
	stream, other := w.sessions[0], w.sessions[1]
	piece := make([]byte, maxWhole/2)
	now, cancel := context.WithCancel(t.Context())
	cancel()
	for stream.enqueue(now, 0, ProtocolUser, wire.Whole, w.n.out, piece) == nil {
	}
	sent := make(chan error)
	go func() { sent <- stream.enqueue(context.Background(), 0, ProtocolUser, wire.Whole, w.n.out, piece) }()
	if err := other.enqueue(now, 0, ProtocolUser, wire.Whole, w.n.out, []byte("a call")); err != nil {
		t.Fatal(err)
	}
	ahead := 0
	for other.sent.Load() == 0 {
		if !w.step() {
			t.Fatal("the frame for the other peer is not in the outbox")
		}
		if last := w.published[len(w.published)-1]; last.subject == stream.subject {
			ahead += len(last.data)
		}
	}
	if limit := maxUnsent + 2*len(piece); ahead > limit {
		t.Errorf("%d bytes of the stream leave first, %d may", ahead, limit)
	}
	for waiting := true; waiting; {
		select {
		case err := <-sent:
			if err != nil {
				t.Fatal(err)
			}
			waiting = false
		default:
			w.step()
		}
	}
	// What may not wait is bounded by the window alone.
	if err := stream.enqueue(now, NoWait, ProtocolUser, wire.Whole, w.n.out, piece); err != nil {
		t.Error(err)
	}
}
