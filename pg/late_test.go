package pg

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// members makes a world of n nodes that run the scope "s", each with a member of "g" as the first node sees it.
func members(t *testing.T, n int) (*world, []*Scope) {
	t.Helper()
	w := newWorld(t.Fatalf, n)
	scopes := make([]*Scope, n)
	for i, at := range w.nodes {
		s, err := at.groups.Scope("s")
		if err != nil {
			t.Fatal(err)
		}
		scopes[i] = s
		if err := s.Join("g", at.spawn()); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			w.connect(w.nodes[0], at)
		}
	}
	w.settle()
	if got := scopes[0].Count("g").Nodes; got != n {
		t.Fatalf("%d nodes with members, want %d", got, n)
	}
	return w, scopes
}

// TestLateNodesTogether has all other nodes full at first, and one of them thaw at once: it must not get the message late
// because the others stay frozen, and these must cost one patience together.
func TestLateNodesTogether(t *testing.T) {
	for thawed := 1; thawed <= 3; thawed++ {
		synctest.Test(t, func(t *testing.T) {
			w, scopes := members(t, 4)
			defer w.close()
			a, patience := w.nodes[0], w.nodes[0].groups.patience
			began, got := time.Now(), time.Duration(-1)
			a.sending = func(ctx context.Context, to node.ID, flags node.SendFlags) error {
				switch {
				case flags&node.NoWait != 0:
					return node.ErrWouldBlock
				case to == w.nodes[thawed].id:
					time.Sleep(time.Millisecond)
					got = time.Since(began)
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			}
			d, err := scopes[0].Broadcast(context.Background(), "g", "hello")
			if err != nil || len(d.Skipped) != 2 || d.Nodes != 2 {
				t.Fatalf("delivery %+v, %v", d, err)
			}
			if took := time.Since(began); got != time.Millisecond || took != patience {
				t.Errorf("node %d thawed at once and got it after %v, all took %v", thawed, got, took)
			}
		})
	}
}

// TestLargeWhileItMoves sends what takes several times the patience to a node that goes on taking things in, and to one that
// has stopped to.
func TestLargeWhileItMoves(t *testing.T) {
	for name, moves := range map[string]bool{"moving": true, "frozen": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, scopes := members(t, 2)
				defer w.close()
				a, patience, began := w.nodes[0], w.nodes[0].groups.patience, time.Now()
				a.sending = func(ctx context.Context, _ node.ID, _ node.SendFlags) error {
					select {
					case <-time.After(3 * patience):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				if moves {
					a.taken = func() uint64 { return uint64(2 * time.Since(began) / patience) }
				}
				d, err := scopes[0].Broadcast(context.Background(), "g", strings.Repeat("x", wholeFrame))
				took := time.Since(began)
				switch {
				case err != nil:
					t.Error(err)
				case moves && (len(d.Skipped) != 0 || d.Nodes != 2):
					t.Errorf("given up after %v: %+v", took, d)
				case !moves && (len(d.Skipped) != 1 || took != patience):
					t.Errorf("waited for %v: %+v", took, d)
				}
			})
		})
	}
}

// TestCallStoppedScope calls a member whose node has stopped the scope, which is not known here yet: nobody waits for it.
func TestCallStoppedScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, scopes := members(t, 2)
		defer w.close()
		if err := scopes[0].Leave("g", scopes[0].LocalMembers("g")...); err != nil {
			t.Fatal(err)
		}
		w.settle()
		scopes[1].Stop()
		began, took := time.Now(), time.Duration(-1)
		go func() {
			for r, err := range scopes[0].CallAll(context.Background(), "g", "hello") {
				t.Errorf("an answer of a member that has left: %+v, %v", r, err)
			}
			took = time.Since(began)
		}()
		synctest.Wait()
		w.settle()
		time.Sleep(2 * DefaultTimeout)
		synctest.Wait()
		if took != 0 {
			t.Errorf("waited %v for a scope that has stopped", took)
		}
		if n := w.nodes[1].groups.Stats().Ignored; n != 0 {
			t.Errorf("%d frames ignored", n)
		}
	})
}

// TestBehindGone has a node miss a broadcast, be told, and go before the next one: nothing of it is kept.
func TestBehindGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, scopes := members(t, 2)
		defer w.close()
		a, b := w.nodes[0], w.nodes[1]
		thaw := make(chan struct{})
		a.sending = func(ctx context.Context, _ node.ID, flags node.SendFlags) error {
			if flags&node.NoWait != 0 {
				return node.ErrWouldBlock
			}
			select {
			case <-thaw:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if d, err := scopes[0].Broadcast(context.Background(), "g", "hello"); err != nil || len(d.Skipped) != 1 {
			t.Fatalf("delivery %+v, %v", d, err)
		}
		close(thaw)
		synctest.Wait()
		w.settle()
		if n := scopes[1].g.stats.missed.Load(); n != 1 || a.groups.behind.any.Load() != 1 {
			t.Fatalf("told of %d missed, %d nodes are behind", n, a.groups.behind.any.Load())
		}
		w.cut(a, b)
		w.settle()
		if n := a.groups.behind.any.Load(); n != 0 || len(a.groups.behind.nodes) != 0 {
			t.Fatalf("%d nodes are behind, and none is left", n)
		}
	})
}

// TestReadyPeerEnds waits for a peer without groups whose session ends, which nobody tells the groups: there is nothing to
// wait for. One that may still answer is waited for.
func TestReadyPeerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t.Fatalf, 2)
		defer w.close()
		a, b := w.nodes[0], w.nodes[1]
		a.up[b.id] = node.Peer{ID: b.id, Conn: 1} // of which the groups were told nothing
		s, err := a.groups.Scope("s")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		a.sending = func(context.Context, node.ID, node.SendFlags) error { return node.ErrNotConnected }
		if err := s.WaitReady(ctx); err != nil {
			t.Fatalf("a session that has ended: %v", err)
		}
		a.sending = func(ctx context.Context, _ node.ID, _ node.SendFlags) error {
			<-ctx.Done()
			return ctx.Err()
		}
		if err := s.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a peer that may still answer: %v", err)
		}
	})
}

// TestReplyOfTheDead has a member end while its answer waits for the caller's node, in vain: the caller learns of the end.
func TestReplyOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, scopes := members(t, 2)
		defer w.close()
		b := w.nodes[1]
		if err := scopes[0].Leave("g", scopes[0].LocalMembers("g")...); err != nil {
			t.Fatal(err)
		}
		w.settle()
		member := scopes[1].LocalMembers("g")[0]
		answers := make(chan error, 2)
		go func() {
			for r, err := range scopes[0].CallAll(context.Background(), "g", "hello") {
				if r.From != member {
					t.Errorf("%+v, %v", r, err)
				}
				answers <- err
			}
			close(answers)
		}()
		synctest.Wait()
		w.settle()
		call := b.inbox(member)[0].(*Call)
		b.sending = func(ctx context.Context, _ node.ID, _ node.SendFlags) error {
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithCancel(context.Background())
		replied := make(chan error, 1)
		go func() { replied <- call.Reply(ctx, member, "late") }()
		synctest.Wait()
		b.kill(member)
		synctest.Wait() // it leaves its group
		cancel()
		if err := <-replied; !errors.Is(err, context.Canceled) {
			t.Fatalf("reply: %v", err)
		}
		w.settle()
		if err := <-answers; !errors.Is(err, process.ErrNoProcess) {
			t.Fatalf("answer of a member that has ended: %v", err)
		}
		if _, more := <-answers; more {
			t.Fatal("two answers of one member")
		}
		if n := len(b.groups.calls.takes); n != 0 {
			t.Fatalf("%d calls are kept", n)
		}
	})
}
