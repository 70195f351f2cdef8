package rpc

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/node"
)

func TestCast(t *testing.T) {
	ctx := context.Background()
	received := func(t *testing.T, s *Server) chan string {
		got := make(chan string, 100)
		register(t, s, "take", func(_ context.Context, m string) (any, error) { got <- m; return nil, nil })
		return got
	}

	bubble(t, "ERPC-21_RPC-06_cast", func(t *testing.T) {
		a, b, _, _ := pair(t)
		got := received(t, b)
		if err := a.Cast(ctx, nameB, "take", "one"); err != nil {
			t.Fatal(err)
		}
		if m := <-got; m != "one" {
			t.Errorf("got %q", m)
		}
		if err := b.Cast(ctx, "", "take", "two"); err != nil || <-got != "two" {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "ERPC-21_cast_to_nobody", func(t *testing.T) {
		a, b, na, _ := pair(t)
		begin := time.Now()
		for _, c := range []struct{ node, fn string }{{nameC, "take"}, {nameB, "no.such"}, {nameA, "no.such"}} {
			if err := a.Cast(ctx, c.node, c.fn, 1); err != nil {
				t.Errorf("%v: %v", c, err)
			}
		}
		if d := time.Since(begin); d > 0 {
			t.Errorf("only after %s", d)
		}
		eventually(t, "what was lost is counted", func() bool {
			return a.Stats().LostCasts == 1 && a.Stats().FailedCasts == 1 && b.Stats().FailedCasts == 1
		})
		if na.count("cast") > 0 {
			t.Error("something was sent")
		}
		for _, err := range []error{
			a.Cast(ctx, nameB, "no such", 1), a.Cast(ctx, nameB, "take", make(chan int)), a.Cast(ctx, nameB, "take", 1, Timeout(-1)),
		} {
			if !errors.Is(err, ErrBadArgument) {
				t.Errorf("%v", err)
			}
		}
	})

	bubble(t, "ERPC-21_cast_connects", func(t *testing.T) {
		a, _, na, _ := pair(t)
		_, c := na.mesh.add(t, nameC)
		got := received(t, c)
		if err := a.Cast(ctx, nameC, "take", "hello"); err != nil || <-got != "hello" {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "ERPC-21_full_window", func(t *testing.T) {
		a, _, na, nb := pair(t)
		na.window = 2
		defer nb.freeze()()
		var err error
		for range 3 {
			err = a.Cast(ctx, nameB, "take", 1, Timeout(50*time.Millisecond))
		}
		if !errors.Is(err, ErrTimeout) || a.Stats().LostCasts != 1 {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "ERPC-21_background_is_bounded", func(t *testing.T) {
		a, _, na, _ := pair(t)
		hold := make(chan struct{})
		na.connecting = func() { <-hold }
		defer close(hold)
		for range maxBackground {
			if err := a.Cast(ctx, nameC, "take", 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Cast(ctx, nameC, "take", 1); !errors.Is(err, ErrOverload) {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "ERPC-23_multicast", func(t *testing.T) {
		a, b, _, _ := pair(t)
		here, there := received(t, a), received(t, b)
		if err := a.Multicast(ctx, []string{nameB, nameC, nameA, nameB}, "take", "m"); err != nil {
			t.Fatal(err)
		}
		for _, c := range []chan string{there, there, here} {
			if m := <-c; m != "m" {
				t.Errorf("got %q", m)
			}
		}
		if err := a.Multicast(ctx, nil, "take", "all"); err != nil || <-here != "all" || <-there != "all" {
			t.Errorf("%v", err)
		}
		err := a.Multicast(ctx, []string{nameB, "no node name"}, "take", "x")
		if !errors.Is(err, ErrBadArgument) || !errors.Is(err, node.ErrBadName) {
			t.Errorf("%v", err)
		}
		select {
		case m := <-there:
			t.Errorf("%q was sent before the list was checked", m)
		case <-time.After(20 * time.Millisecond):
		}
	})

	bubble(t, "ERPC-24_casts_have_no_deadline", func(t *testing.T) {
		a, b, _, _ := pair(t)
		got := make(chan bool, 1)
		register(t, b, "deadline", func(ctx context.Context, _ any) (any, error) {
			_, ok := ctx.Deadline()
			got <- ok
			return nil, nil
		})
		if err := a.Cast(ctx, nameB, "deadline", nil); err != nil || <-got {
			t.Errorf("%v", err)
		}
	})
}

func TestMulticall(t *testing.T) {
	ctx := context.Background()
	mesh := func(t *testing.T) (*Server, map[string]*Server, *fakeNode) {
		a, b, na, _ := pair(t)
		_, c := na.mesh.add(t, nameC)
		if _, err := na.connect(nameC); err != nil {
			t.Fatal(err)
		}
		servers := map[string]*Server{nameA: a, nameB: b, nameC: c}
		for name, s := range servers {
			register(t, s, "name", func(context.Context, any) (string, error) { return name, nil })
		}
		return a, servers, na
	}

	bubble(t, "ERPC-41_RPC-04_order_of_the_list", func(t *testing.T) {
		a, servers, _ := mesh(t)
		register(t, servers[nameA], "slow", func(context.Context, any) (int, error) { time.Sleep(50 * time.Millisecond); return 1, nil })
		register(t, servers[nameB], "slow", func(context.Context, any) (int, error) { return 2, nil })
		list := []string{nameA, nameB, nameC, nameB}
		replies, err := a.Multicall(ctx, list, "slow", nil)
		if err != nil || len(replies) != 4 {
			t.Fatal(replies, err)
		}
		for i, r := range replies {
			if r.Node != list[i] || r.Index != i {
				t.Errorf("%d: %+v", i, r)
			}
		}
		var n int
		if err := replies[1].Decode(&n); err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
		if !errors.Is(replies[2].Err, ErrNoFunction) || replies[2].Decode(&n) == nil {
			t.Errorf("%v", replies[2].Err)
		}
	})

	bubble(t, "ERPC-43_in_parallel", func(t *testing.T) {
		a, _, _ := mesh(t)
		list := []string{nameA, nameB, nameC, nameA, nameB, nameC, nameA, nameB, nameC, nameA, nameB, nameC}
		begin := time.Now()
		replies, err := a.Multicall(ctx, list, "kith.sleep", 200)
		if err != nil || time.Since(begin) != 200*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		for _, r := range replies {
			if r.Err != nil {
				t.Error(r.Err)
			}
		}
	})

	bubble(t, "ERPC-44_one_deadline", func(t *testing.T) {
		a, servers, _ := mesh(t)
		register(t, servers[nameB], "mixed", func(ctx context.Context, _ any) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		register(t, servers[nameA], "mixed", func(ctx context.Context, _ any) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		register(t, servers[nameC], "mixed", func(context.Context, any) (int, error) { return 3, nil })
		begin := time.Now()
		replies, err := a.Multicall(ctx, []string{nameB, nameC, nameA}, "mixed", nil, Timeout(200*time.Millisecond))
		if d := time.Since(begin); err != nil || d != 200*time.Millisecond {
			t.Fatalf("%v after %s", err, d)
		}
		if !errors.Is(replies[0].Err, ErrTimeout) || replies[1].Err != nil || !errors.Is(replies[2].Err, ErrTimeout) {
			t.Errorf("%+v", replies)
		}
	})

	bubble(t, "ERPC-45_dead_nodes_fill_their_own_slot", func(t *testing.T) {
		a, _, na := mesh(t)
		na.mesh.addNode(t, "x@127.0.0.1").refuse = node.ErrNotConnected
		replies, err := a.Multicall(ctx, []string{"gone@127.0.0.1", nameB, "x@127.0.0.1", nameA}, "name", nil)
		if err != nil {
			t.Fatal(err)
		}
		if !errors.Is(replies[0].Err, ErrNoConnection) || !errors.Is(replies[2].Err, ErrNoConnection) {
			t.Errorf("%+v", replies)
		}
		for _, i := range []int{1, 3} {
			var name string
			if err := replies[i].Decode(&name); err != nil || name != replies[i].Node {
				t.Errorf("%q, %v", name, err)
			}
		}
	})

	bubble(t, "ERPC-45_frozen_node_delays_nobody", func(t *testing.T) {
		a, _, na := mesh(t)
		na.window = 1
		defer na.mesh.nodes[nameB].freeze()()
		_ = a.Cast(ctx, nameB, "kith.echo", 1) // fills the window
		begin := time.Now()
		for r, err := range a.MulticallSeq(ctx, []string{nameB, nameC}, "name", nil, Timeout(300*time.Millisecond)) {
			switch {
			case r.Node == nameC && (err != nil || time.Since(begin) > 0):
				t.Errorf("%v after %s", err, time.Since(begin))
			case r.Node == nameB && !errors.Is(err, ErrTimeout):
				t.Errorf("%v", err)
			}
		}
	})

	bubble(t, "ERPC-45_node_without_calls_delays_nobody", func(t *testing.T) {
		a, _, na := mesh(t)
		na.mesh.addNode(t, "old@127.0.0.1").silent = true
		if _, err := na.connect("old@127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for r, err := range a.MulticallSeq(ctx, []string{"old@127.0.0.1", nameB}, "name", nil) {
			if r.Node == nameB && (err != nil || time.Since(begin) > 0) {
				t.Errorf("%v after %s", err, time.Since(begin))
			}
		}
		begin = time.Now()
		if err := a.Cast(ctx, "old@127.0.0.1", "name", nil); err != nil || time.Since(begin) > 0 {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})

	bubble(t, "ERPC-46_RPC-03_mixed_outcomes", func(t *testing.T) {
		a, servers, na := mesh(t)
		na.mesh.addNode(t, "old@127.0.0.1").silent = true
		register(t, servers[nameA], "mix", func(context.Context, any) (int, error) { return 0, Errorf("mine", "x") })
		register(t, servers[nameB], "mix", func(context.Context, any) (int, error) { panic("y") })
		list := []string{nameA, nameB, nameC, "old@127.0.0.1", "gone@127.0.0.1"}
		replies, err := a.Multicall(ctx, list, "mix", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, kind := range []string{"mine", KindPanic, KindNoFunction, KindNotSupported, KindNoConnection} {
			if got := ErrorKind(replies[i].Err); got != kind {
				t.Errorf("%s: %s, want %s", list[i], got, kind)
			}
		}
	})

	bubble(t, "ERPC-47_bad_list", func(t *testing.T) {
		a, _, na := mesh(t)
		before := na.count("request")
		if _, err := a.Multicall(ctx, []string{nameB, "?"}, "name", nil); !errors.Is(err, ErrBadArgument) {
			t.Errorf("%v", err)
		}
		for r, err := range a.MulticallSeq(ctx, []string{nameB, "?"}, "name", nil) {
			if r.Index != -1 || !errors.Is(err, ErrBadArgument) {
				t.Errorf("%+v, %v", r, err)
			}
		}
		if na.count("request") != before {
			t.Error("something was sent")
		}
	})

	bubble(t, "ERPC-48_empty_list", func(t *testing.T) {
		a, _, _ := mesh(t)
		if replies, err := a.Multicall(ctx, []string{}, "name", nil); err != nil || len(replies) != 0 {
			t.Errorf("%v, %v", replies, err)
		}
	})

	bubble(t, "ERPC-49_RPC-13_no_stray_answers", func(t *testing.T) {
		a, servers, _ := mesh(t)
		var wg sync.WaitGroup
		for _, s := range servers {
			register(t, s, "late", func(context.Context, any) (int, error) {
				defer wg.Done()
				time.Sleep(100 * time.Millisecond)
				return 1, nil
			})
		}
		wg.Add(3)
		if _, err := a.Multicall(ctx, nil, "late", nil, Timeout(10*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		eventually(t, "late answers are dropped and counted", func() bool {
			return a.Stats().LateAnswers+servers[nameB].Stats().LostAnswers+servers[nameC].Stats().LostAnswers == 3
		})
		if a.Stats().Pending != 0 {
			t.Error("something is left")
		}
	})

	bubble(t, "MulticallSeq_in_order_of_completion", func(t *testing.T) {
		a, servers, _ := mesh(t)
		order := []string{nameC, nameA, nameB}
		for i, name := range order {
			register(t, servers[name], "ranked", func(ctx context.Context, _ any) (int, error) {
				select {
				case <-time.After(time.Duration(i) * 50 * time.Millisecond):
					return i, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			})
		}
		var got []string
		for r, err := range a.MulticallSeq(ctx, []string{nameA, nameB, nameC}, "ranked", nil) {
			if err != nil {
				t.Error(err)
			}
			if got = append(got, r.Node); len(got) == 2 {
				break
			}
		}
		if got[0] != order[0] || got[1] != order[1] {
			t.Errorf("%v", got)
		}
		if a.Stats().Pending != 0 {
			t.Error("leaving the loop left something pending")
		}
	})

	bubble(t, "RPC-05_no_list_means_all", func(t *testing.T) {
		a, _, _ := mesh(t)
		replies, err := a.Multicall(ctx, nil, "name", nil)
		if err != nil || len(replies) != 3 || replies[0].Node != nameA || replies[1].Node != nameB || replies[2].Node != nameC {
			t.Errorf("%+v, %v", replies, err)
		}
	})

	bubble(t, "RPC-12_spread", func(t *testing.T) {
		a, _, _ := mesh(t)
		squares := make([]int, 10)
		for i := range squares {
			squares[i] = i
		}
		got, err := Map[int, int](ctx, a, []string{nameB, nameC}, "kith.echo", squares)
		if err != nil || len(got) != 10 || got[9] != 9 {
			t.Errorf("%v, %v", got, err)
		}
		replies, err := a.Spread(ctx, []string{nameB, nameC}, "name", []any{1, 2, 3})
		if err != nil || replies[0].Node != nameB || replies[1].Node != nameC || replies[2].Node != nameB {
			t.Errorf("%+v, %v", replies, err)
		}
		if _, err := Map[int, int](ctx, a, []string{nameB, "gone@127.0.0.1"}, "kith.echo", squares); !errors.Is(err, ErrNoConnection) {
			t.Errorf("%v", err)
		}
		if _, err := a.Spread(ctx, []string{}, "name", []any{1}); !errors.Is(err, ErrBadArgument) {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "with_middleware", func(t *testing.T) {
		count := 0
		var mu sync.Mutex
		m := newFakeMesh()
		_, a := m.add(t, nameA, WithCallMiddleware(func(next Handler) Handler {
			return HandlerFunc(func(ctx context.Context, r *Request) (any, error) {
				mu.Lock()
				count++
				mu.Unlock()
				return next.Handle(ctx, r)
			})
		}))
		m.add(t, nameB)
		replies, err := a.Multicall(ctx, []string{nameA, nameB}, "kith.echo", "x")
		if err != nil || count != 2 {
			t.Fatalf("%v, %d", err, count)
		}
		for _, r := range replies {
			var s string
			if err := r.Decode(&s); err != nil || s != "x" {
				t.Errorf("%s: %q, %v", r.Node, s, err)
			}
		}
	})
}
