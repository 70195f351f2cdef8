package node_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

func TestSIG(t *testing.T) {
	t.Run("SIG-01_order_of_each_sender", func(t *testing.T) {
		a, b := pair(t)
		record(t, a)
		at := record(t, b)
		const senders, each = 8, 5000
		var group sync.WaitGroup
		for s := range senders {
			group.Go(func() {
				for i := range each {
					size := 0
					if i%97 == 0 {
						size = 20_000
					}
					data := fmt.Sprintf("%d %d %s", s, i, strings.Repeat("x", size))
					if err := a.Send(t.Context(), b.ID(), user, 0, []byte(data)); err != nil {
						t.Errorf("sender %d, frame %d: %v", s, i, err)
						return
					}
				}
			})
		}
		group.Wait()
		meshtest.Eventually(t, "all frames", func() bool { return b.Counters()["frames_in"] == senders*each })
		var next [senders]int
		for _, data := range at.frames(a.Name()) {
			var s, i int
			if _, err := fmt.Sscan(data, &s, &i); err != nil {
				t.Fatal(err)
			}
			if i != next[s] {
				t.Fatalf("sender %d: frame %d where %d is due", s, i, next[s])
			}
			next[s]++
		}
	})
	t.Run("SIG-01_sends_posts_and_broadcasts_of_one_goroutine", func(t *testing.T) {
		a := start(t, "a")
		b := start(t, "b", joining(a))
		c := start(t, "c", joining(a))
		connected(t, a, b)
		connected(t, a, c)
		atA, atB, atC := record(t, a), record(t, b), record(t, c)
		for _, n := range []*node.Node{b, c} {
			if err := n.Subscribe("news.local"); err != nil {
				t.Fatal(err)
			}
			send(t, n, a, "subscribed") // behind the subscription
			meshtest.Eventually(t, "word of it", func() bool { return len(atA.frames(n.Name())) == 1 })
		}
		send(t, a, b, "0")
		send(t, a, c, "0")
		const count = 3000
		for i := 1; i <= count; i++ {
			data := fmt.Append(nil, i)
			switch i % 3 {
			case 0:
				if skipped, err := a.Broadcast(within(t), "news.local", user, []node.ID{b.ID(), c.ID()}, data); err != nil || len(skipped) != 0 {
					t.Fatalf("%v, %v", skipped, err)
				}
			case 1:
				send(t, a, b, string(data))
				send(t, a, c, string(data))
			case 2:
				if err := errors.Join(a.Post(b.ID(), user, data), a.Post(c.ID(), user, data)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, at := range []*recorder{atB, atC} {
			meshtest.Eventually(t, "all frames", func() bool { return len(at.frames(a.Name())) == count+1 })
			for i, data := range at.frames(a.Name()) {
				if data != fmt.Sprint(i) {
					t.Fatalf("frame %d is %s", i, data)
				}
			}
		}
	})
	t.Run("SIG-03_order_across_a_reconnect", func(t *testing.T) {
		a, b := pair(t)
		record(t, a)
		at := record(t, b)
		const count = 20_000
		var lost atomic.Int64
		flap := make(chan struct{})
		go func() {
			defer close(flap)
			for range 10 {
				time.Sleep(5 * time.Millisecond)
				b.Disconnect(a.Name())
			}
		}()
		for i := range count {
			if err := a.Send(within(t), b.ID(), user, 0, fmt.Append(nil, i)); err != nil {
				if !errors.Is(err, node.ErrNotConnected) {
					t.Fatal(err)
				}
				lost.Add(1)
			}
		}
		<-flap
		send(t, a, b, fmt.Sprint(count))
		meshtest.Eventually(t, "the last frame", func() bool { return slices.Contains(at.frames(a.Name()), fmt.Sprint(count)) })
		last := -1
		for _, data := range at.frames(a.Name()) {
			var i int
			if _, err := fmt.Sscan(data, &i); err != nil || i <= last {
				t.Fatalf("frame %s comes behind %d", data, last)
			}
			last = i
		}
		inTurn(t, at.of(a.Name()))
	})
	t.Run("SIG-05_unknown_node", func(t *testing.T) {
		// At this level the sender is told; package process makes it a silent drop that counts.
		a, _ := pair(t)
		if err := a.Send(within(t), node.ID{Name: "nobody@127.0.0.1"}, user, 0, nil); !errors.Is(err, node.ErrNoNode) {
			t.Errorf("%v", err)
		}
		if err := a.Post(node.ID{Name: "nobody@127.0.0.1"}, user, nil); !errors.Is(err, node.ErrNotConnected) {
			t.Errorf("Post: %v", err)
		}
		if err := a.Send(within(t), a.ID(), user, 0, nil); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("to itself: %v", err)
		}
	})
	t.Run("SIG-08_a_signal_connects", func(t *testing.T) {
		a := start(t, "a")
		h := start(t, "h", hidden, joining(a)) // does not connect by itself
		at := record(t, a)
		record(t, h)
		meshtest.Eventually(t, "a route", func() bool { return h.Report().Routes == 1 })
		if err := h.Send(within(t), node.ID{Name: a.Name()}, user, 0, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		meshtest.Eventually(t, "the frame", func() bool { return slices.Contains(at.frames(h.Name()), "hello") })
	})
	t.Run("SIG-09_no_connect", func(t *testing.T) {
		a, b := pair(t)
		record(t, a)
		record(t, b)
		a.Disconnect(b.Name())
		events := watch(t, a)
		began := time.Now()
		if err := a.Send(within(t), b.ID(), user, node.NoConnect, nil); !errors.Is(err, node.ErrNotConnected) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took > tick {
			t.Errorf("it took %v", took)
		}
		time.Sleep(2 * tick) // nothing may happen: there is nothing to wait for
		if list := events.all(); slices.ContainsFunc(list, func(e node.Event) bool { return e.Up }) || len(a.Nodes()) != 0 {
			t.Errorf("%+v", list)
		}
	})
	t.Run("SIG-10_no_wait", func(t *testing.T) {
		a, b := pair(t)
		record(t, a)
		gate := make(chan struct{})
		at := &recorder{slow: func(string) { <-gate }}
		handle(t, b, at)
		send(t, a, b, "0")
		sent := 1
		data := make([]byte, 1000)
		for {
			err := a.Send(within(t), b.ID(), user, node.NoWait, fmt.Append(nil, sent, " "), data)
			if errors.Is(err, node.ErrWouldBlock) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			sent++
		}
		charge, window := a.UnderWay(b.Name())
		if charge > window || sent < 100 {
			t.Errorf("%d under way of %d after %d frames", charge, window, sent)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if err := a.Send(ctx, b.ID(), user, 0, data); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a waiting send: %v", err)
		}
		if err := a.Send(within(t), b.ID(), user, node.NoWait, make([]byte, 1<<20)); !errors.Is(err, node.ErrWouldBlock) {
			t.Errorf("a large one: %v", err)
		}
		close(gate)
		settled(t, a, b)
		frames := at.frames(a.Name())
		if len(frames) != sent {
			t.Errorf("%d frames have arrived, %d were sent", len(frames), sent)
		}
		for i, f := range frames {
			if got, _, _ := strings.Cut(f, " "); got != fmt.Sprint(i) {
				t.Fatalf("frame %d is %s", i, got)
			}
		}
	})
	t.Run("SIG-12_an_earlier_life", func(t *testing.T) {
		a, b := pair(t)
		record(t, a)
		old := b.ID()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = start(t, "b", joining(a))
		connected(t, a, b)
		at := record(t, b)
		if err := a.Send(within(t), old, user, 0, []byte("for the dead")); !errors.Is(err, node.ErrNoNode) {
			t.Errorf("%v", err)
		}
		if err := a.Post(old, user, []byte("for the dead")); !errors.Is(err, node.ErrNotConnected) {
			t.Errorf("Post: %v", err)
		}
		mine := node.ID{Name: a.Name(), Incarnation: a.ID().Incarnation + 1}
		if err := a.Send(within(t), mine, user, 0, nil); !errors.Is(err, node.ErrNoNode) {
			t.Errorf("to an earlier life of its own: %v", err)
		}
		send(t, a, b, "for the living")
		meshtest.Eventually(t, "a frame", func() bool { return len(at.frames(a.Name())) > 0 })
		if got := at.frames(a.Name()); !slices.Equal(got, []string{"for the living"}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("SIG-14_small_frames_pass_between_parts", func(t *testing.T) {
		a, b := pair(t)
		record(t, a)
		at := &recorder{}
		handle(t, b, at)
		send(t, a, b, "warm")
		large := bytes.Repeat([]byte("0123456789abcdef"), 48<<20/16)
		done := make(chan error, 1)
		go func() { done <- a.Send(t.Context(), b.ID(), user, 0, large) }()
		meshtest.Eventually(t, "the large one under way", func() bool { charge, _ := a.UnderWay(b.Name()); return charge > 1<<20 })
		const small = 50
		passed := 0
		for i := range small {
			send(t, a, b, fmt.Sprint("small ", i))
			if len(done) == 0 {
				passed++
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		meshtest.Eventually(t, "all frames", func() bool { return len(at.frames(a.Name())) == small+2 })
		ahead := 0
		for _, f := range at.frames(a.Name()) {
			if len(f) == len(large) {
				if crc32.ChecksumIEEE([]byte(f)) != crc32.ChecksumIEEE(large) {
					t.Error("the large one is not what was sent")
				}
				break
			}
			ahead++
		}
		if passed == 0 || ahead < passed {
			t.Errorf("%d small ones were sent meanwhile, %d arrived before the large one", passed, ahead-1)
		}
		t.Logf("%d small frames were sent while the large one was, %d arrived before it", passed, ahead-1)
	})
}

func TestParts(t *testing.T) {
	a, b := pair(t, func(c *node.Config) { c.MaxMessage = 3 << 20 })
	record(t, a)
	at := record(t, b)
	t.Run("sizes_around_the_limits", func(t *testing.T) {
		const part = 128 << 10
		for i, size := range []int{0, 1, part - 1, part, part + 1, 2 * part, 2*part + 1, 3<<20 - 1, 3 << 20} {
			data := bytes.Repeat([]byte{byte(i)}, size)
			if size >= 8 {
				binary.BigEndian.PutUint64(data, uint64(size))
			}
			half := size / 3
			if err := a.Send(within(t), b.ID(), user, 0, data[:half], nil, data[half:]); err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			meshtest.Eventually(t, "the frame", func() bool { return len(at.frames(a.Name())) == i+1 })
			if got := at.frames(a.Name())[i]; got != string(data) {
				t.Errorf("%d bytes came as %d others", size, len(got))
			}
		}
	})
	t.Run("too_large", func(t *testing.T) {
		before := a.LastSent(b.Name())
		over := make([]byte, 3<<20+1)
		if err := a.Send(within(t), b.ID(), user, 0, over); !errors.Is(err, node.ErrTooLarge) {
			t.Errorf("Send: %v", err)
		}
		if _, err := a.Broadcast(within(t), "x", user, []node.ID{b.ID()}, over); !errors.Is(err, node.ErrTooLarge) {
			t.Errorf("Broadcast: %v", err)
		}
		if err := a.Post(b.ID(), user, make([]byte, 128<<10+1)); !errors.Is(err, node.ErrTooLarge) {
			t.Errorf("Post: %v", err)
		}
		if got := a.LastSent(b.Name()); got != before {
			t.Errorf("%d frames were sent", got-before)
		}
	})
	t.Run("given_up_in_the_middle", func(t *testing.T) {
		gate := make(chan struct{})
		var once sync.Once
		release := func() { once.Do(func() { close(gate) }) }
		defer release()
		x := start(t, "x", joining(b))
		connected(t, x, b)
		connected(t, x, a)
		slow := &recorder{slow: func(s string) {
			if s == "stop" {
				<-gate
			}
		}}
		handle(t, x, slow)
		for range 3 {
			send(t, a, x, "hello")
		}
		send(t, a, x, "stop")
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			_ = a.Send(ctx, x.ID(), user, 0, make([]byte, 3<<20)) // more than fits its window, in the end
			cancel()
		}
		release()
		send(t, a, x, "after")
		meshtest.Eventually(t, "a frame behind it", func() bool { return slices.Contains(slow.frames(a.Name()), "after") })
		for _, f := range slow.frames(a.Name()) {
			if len(f) > 10 && len(f) != 3<<20 {
				t.Errorf("a message of %d bytes was delivered", len(f))
			}
		}
		connected(t, a, x)
	})
}

// Handlers that are installed late miss nothing: a sender waits for them.
func TestLateHandler(t *testing.T) {
	t.Run("frames_wait_for_it", func(t *testing.T) {
		a, b := pair(t)
		record(t, a)
		const count = 100
		sent := make(chan error, 1)
		go func() {
			for i := range count {
				if err := a.Send(t.Context(), b.ID(), user, 0, fmt.Append(nil, i)); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		time.Sleep(50 * time.Millisecond) // the program on b is still starting
		at := record(t, b)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		meshtest.Eventually(t, "all frames", func() bool { return len(at.frames(a.Name())) == count })
		list := at.of(a.Name())
		if list[0].kind != "up" {
			t.Errorf("the first thing it sees is %s", list[0].kind)
		}
		for i, f := range at.frames(a.Name()) {
			if f != fmt.Sprint(i) {
				t.Fatalf("frame %d is %s", i, f)
			}
		}
	})
	t.Run("nobody_speaks_it", func(t *testing.T) {
		a, b := pair(t)
		record(t, a)
		if err := a.Send(within(t), b.ID(), user, 0, nil); !errors.Is(err, node.ErrNoProtocol) {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := a.Send(ctx, b.ID(), user+1, 0, nil); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, node.ErrNoProtocol) {
			t.Errorf("%v", err)
		}
	})
	t.Run("one_handler_for_a_protocol", func(t *testing.T) {
		a := start(t, "a")
		record(t, a)
		if err := a.Handle(user, &recorder{}); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("%v", err)
		}
		if err := a.Handle(user+1, nil); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("%v", err)
		}
	})
}
