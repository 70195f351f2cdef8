package quorum

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/internal/leak"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, leak.Stores()...) }

// mesh is three store nodes, and ordinary ones that use them.
type mesh struct {
	*meshtest.Mesh
	t   *testing.T
	ctx context.Context
}

func newMesh(t *testing.T) *mesh {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return &mesh{meshtest.New(t, 3, meshtest.Stores(3)), t, ctx}
}

func (m *mesh) open(n *node.Node, opts ...Option) *Store {
	m.t.Helper()
	s, err := Open(m.ctx, n, opts...)
	fatal(m.t, err)
	m.t.Cleanup(func() { s.Close() })
	return s
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLease walks through the life of a lease, on ordinary nodes of a mesh with three stores.
func TestLease(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a, b := m.Start("a@127.0.0.1"), m.Start("b@127.0.0.1")
	sa, sb := m.open(a, WithLease(2*time.Second)), m.open(b, WithLease(2*time.Second))

	t.Run("take", func(t *testing.T) {
		l, err := sa.Acquire(m.ctx, "k/\x00é", []byte("first"))
		fatal(t, err)
		_, err = sb.Acquire(m.ctx, "k/\x00é", nil)
		var taken *TakenError
		if !errors.Is(err, ErrTaken) || !errors.As(err, &taken) || taken.Holder.Node != a.Name() || taken.Holder.Token != l.Token() || string(taken.Holder.Value) != "first" {
			t.Fatalf("got %v", err)
		}
		fatal(t, l.Update(m.ctx, []byte("second")))
		h, ok, err := sb.LookupConfirmed(m.ctx, "k/\x00é")
		if err != nil || !ok || string(h.Value) != "second" || h.Token != l.Token() {
			t.Fatalf("got %+v %v %v", h, ok, err)
		}
		fatal(t, l.Release(m.ctx))
		if !errors.Is(context.Cause(l.Context()), ErrReleased) || !errors.Is(l.Update(m.ctx, nil), ErrReleased) {
			t.Fatal(context.Cause(l.Context()))
		}
		fatal(t, l.Release(m.ctx))
		if _, ok, err := sb.LookupConfirmed(m.ctx, "k/\x00é"); ok || err != nil {
			t.Fatal(ok, err)
		}
		next, err := sb.Acquire(m.ctx, "k/\x00é", nil)
		fatal(t, err)
		if next.Token() <= l.Token() {
			t.Fatalf("token %d after %d", next.Token(), l.Token())
		}
		fatal(t, next.Release(m.ctx))
	})

	t.Run("kept-beyond-its-time", func(t *testing.T) {
		value := []byte("mine")
		l, err := sa.Acquire(m.ctx, "kept", value)
		fatal(t, err)
		clear(value) // which the caller may use again: renewals write what was given
		select {
		case <-l.Context().Done():
			t.Fatal(context.Cause(l.Context()))
		case <-time.After(5 * time.Second): // more than two leases
		}
		if h, ok, err := sb.LookupConfirmed(m.ctx, "kept"); err != nil || !ok || h.Token != l.Token() || string(h.Value) != "mine" {
			t.Fatalf("got %+v %v %v", h, ok, err)
		}
		fatal(t, l.Release(m.ctx))
	})

	t.Run("expires-when-its-node-is-gone", func(t *testing.T) {
		c := m.Start("c@127.0.0.1")
		sc := m.open(c, WithLease(2*time.Second))
		l, err := sc.Acquire(m.ctx, "orphan", nil)
		fatal(t, err)
		fatal(t, sc.Close())
		if err := l.Context().Err(); err == nil {
			t.Fatal("the context goes on")
		}
		next, err := sb.AcquireWait(m.ctx, "orphan", nil)
		fatal(t, err)
		if next.Token() <= l.Token() {
			t.Fatalf("token %d after %d", next.Token(), l.Token())
		}
		var f Fence
		fatal(t, f.Check(next.Token()))
		if err := f.Check(l.Token()); !errors.Is(err, ErrFenced) {
			t.Fatal(err)
		}
		fatal(t, next.Release(m.ctx))
	})

	t.Run("lost-to-somebody-else", func(t *testing.T) {
		l, err := sa.Acquire(m.ctx, "stolen", nil)
		fatal(t, err)
		st, err := sb.readConfirmed(m.ctx, "stolen")
		fatal(t, err)
		_, err = sb.write(m.ctx, "stolen", nil, st.revision, "") // as if its time had run out
		fatal(t, err)
		<-l.Context().Done()
		if !errors.Is(context.Cause(l.Context()), ErrLeaseLost) || !errors.Is(l.Update(m.ctx, nil), ErrLeaseLost) {
			t.Fatal(context.Cause(l.Context()))
		}
		fatal(t, l.Release(m.ctx))
	})

	t.Run("lost-answers", func(t *testing.T) { lostAnswers(t, m) })

	t.Run("no-quorum", func(t *testing.T) {
		l, err := sa.Acquire(m.ctx, "minority", nil)
		fatal(t, err)
		m.Kill(1)
		m.Kill(2)
		if err := l.Update(m.ctx, nil); !errors.Is(err, ErrLeaseLost) { // as soon as it is lost
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(m.ctx, 3*time.Second)
		defer cancel()
		if _, err := sb.Acquire(ctx, "other", nil); !errors.Is(err, ErrNoQuorum) {
			t.Fatal(err)
		}
		<-l.Context().Done()
		if !errors.Is(context.Cause(l.Context()), ErrLeaseLost) {
			t.Fatal(context.Cause(l.Context()))
		}
	})
}

func TestBadKeys(t *testing.T) {
	for _, row := range []struct {
		name, key string
		value     []byte
	}{
		{"empty", "", nil}, {"long", string(make([]byte, MaxKey+1)), nil}, {"large-value", "k", make([]byte, MaxValue+1)},
	} {
		if err := check(row.key, row.value); !errors.Is(err, ErrBadKey) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	for _, key := range []string{"a", "é/\x00 .*>", string(make([]byte, 255))} {
		if back, ok := keyOf(subject(key)); !ok || back != key {
			t.Errorf("%q came back as %q", key, back)
		}
	}
}

// operation is one call in a history: who did what on a key, and what came of it.
type operation struct {
	kind string // acquire, release, lookup
	who  int
}

type outcome struct {
	ok     bool
	lost   bool // the answer: it may have happened, also later, or not at all
	holder int  // of a lookup; -1 for nobody
}

// lockModel is a lock as it should be: its state is who holds it, -1 for nobody.
var lockModel = porcupine.Model{
	Init: func() any { return -1 },
	Step: func(state, input, output any) (bool, any) {
		holder, in, out := state.(int), input.(operation), output.(outcome)
		switch in.kind {
		case "acquire":
			if out.lost {
				if holder == -1 {
					return true, in.who
				}
				return true, state
			}
			if out.ok {
				return holder == -1, in.who
			}
			return holder != -1, state
		case "release":
			if out.lost && holder != in.who {
				return true, state
			}
			return holder == in.who, -1
		}
		return out.holder == holder, state
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// TestHistory records concurrent operations on one key from three nodes, while the store that leads the agreement is
// killed and comes back, and checks that the history is linearizable.
func TestHistory(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	var stores []*Store
	for i := range 3 {
		stores = append(stores, m.open(m.Start(fmt.Sprintf("w%d@127.0.0.1", i)), WithLease(60*time.Second)))
	}
	h := &history{began: time.Now()}
	rounds := 25
	if testing.Short() {
		rounds = 8
	}
	var wg sync.WaitGroup
	for who, s := range stores {
		wg.Go(func() { h.worker(m.ctx, s, who, rounds) })
		wg.Go(func() { h.reader(m.ctx, s, rounds) })
	}
	m.Kill(2)
	m.Restart(2)
	wg.Wait()
	if h.failed != nil {
		t.Fatal(h.failed)
	}
	t.Logf("%d operations, %d acquired", len(h.ops), h.acquired)
	if h.acquired == 0 {
		t.Fatal("nobody ever acquired the key")
	}
	if !porcupine.CheckOperations(lockModel, h.ops) {
		t.Fatal("the history is not linearizable")
	}
}

// history gathers operations.
type history struct {
	began time.Time

	mu       sync.Mutex // guards the fields below
	ops      []porcupine.Operation
	acquired int
	failed   error
}

func (h *history) note(client int, in operation, out outcome, call time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	end := int64(time.Since(h.began))
	if out.lost {
		end = math.MaxInt64
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(call.Sub(h.began)), Return: end})
	if in.kind == "acquire" && out.ok {
		h.acquired++
	}
}

func (h *history) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed = err
}

// worker takes and releases the key.
func (h *history) worker(ctx context.Context, s *Store, who, rounds int) {
	for range rounds {
		call := time.Now()
		l, err := s.Acquire(ctx, "contended", []byte{byte(who)})
		switch {
		case err == nil:
			h.note(who, operation{"acquire", who}, outcome{ok: true}, call)
			call = time.Now()
			err := l.Release(ctx)
			if err != nil && !errors.Is(err, ErrNoQuorum) {
				h.fail(err)
				return
			}
			h.note(who, operation{"release", who}, outcome{ok: true, lost: err != nil}, call)
		case errors.Is(err, ErrTaken):
			h.note(who, operation{"acquire", who}, outcome{}, call)
		case errors.Is(err, ErrNoQuorum):
			h.note(who, operation{"acquire", who}, outcome{lost: true}, call)
		default:
			h.fail(err)
			return
		}
		time.Sleep(rand.N(3 * time.Millisecond)) // think time, so that orders vary
	}
}

// reader looks the key up.
func (h *history) reader(ctx context.Context, s *Store, rounds int) {
	client := 100 + rand.IntN(1<<20)
	for range rounds {
		call := time.Now()
		holder, ok, err := s.LookupConfirmed(ctx, "contended")
		if err != nil {
			h.fail(err)
			return
		}
		out := outcome{holder: -1}
		if ok {
			out.holder = int(holder.Value[0])
		}
		h.note(client, operation{kind: "lookup"}, out, call)
	}
}
