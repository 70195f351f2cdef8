package leader_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/internal/leak"
	"github.com/kith-mesh/kith/leader"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, leak.Stores()...)
}

const tick = 200 * time.Millisecond

// field is nodes that can campaign.
type field struct {
	t *testing.T
	*meshtest.Mesh
	b []leader.Backend
	r []*global.Registry
}

func newField(t *testing.T, n int) *field {
	t.Helper()
	f := &field{t: t, Mesh: meshtest.New(t, n, meshtest.Tick(tick)), b: make([]leader.Backend, n), r: make([]*global.Registry, n)}
	for i := range n {
		f.equip(i)
	}
	for i := range n {
		meshtest.Eventually(t, "registries meet", func() bool { return len(f.r[i].Peers()) == n-1 })
	}
	return f
}

func (f *field) equip(i int) {
	f.t.Helper()
	rt, err := process.New(f.Node(i + 1))
	must(f.t, err)
	f.r[i], err = global.New(rt)
	must(f.t, err)
	f.b[i] = leader.Names(rt, f.r[i])
}

func (f *field) campaign(i int, election string, opts ...leader.Option) *leader.Candidate {
	f.t.Helper()
	c, err := leader.Campaign(context.Background(), f.b[i], election, append(opts, leader.Value(fmt.Sprint("v", i)))...)
	must(f.t, err)
	f.t.Cleanup(func() { _ = c.Close() })
	return c
}

// wins waits for a term of one of the candidates.
func wins(t *testing.T, list ...*leader.Candidate) (int, *leader.Term) {
	t.Helper()
	type win struct {
		i    int
		term *leader.Term
	}
	got, stop := make(chan win), make(chan struct{})
	defer close(stop)
	for i, c := range list {
		go func() {
			select {
			case term := <-c.Terms():
				select {
				case got <- win{i, term}:
				case <-stop:
				}
			case <-stop:
			}
		}()
	}
	select {
	case w := <-got:
		return w.i, w.term
	case <-time.After(20 * time.Second):
		t.Fatal("nobody leads")
	}
	return 0, nil
}

// sees waits until an observer sees a leader; an empty node is none.
func sees(t *testing.T, o *leader.Observer, node string) leader.Leader {
	t.Helper()
	for {
		select {
		case c := <-o.Changes():
			if c.Leader.Node == node && c.Led == (node != "") {
				return c.Leader
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("leader is not %q", node)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ends(t *testing.T, term *leader.Term, why error) {
	t.Helper()
	select {
	case <-term.Context().Done():
		if err := context.Cause(term.Context()); !errors.Is(err, why) {
			t.Errorf("it ended with %v, want %v", err, why)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the term does not end")
	}
}

// TestLEAD is the contract of elections on names.
func TestLEAD(t *testing.T) {
	t.Run("LEAD-01_LEAD-02_LEAD-03_LEAD-04", func(t *testing.T) {
		f := newField(t, 3)
		o := leader.Observe(t.Context(), f.b[2], "e")
		defer o.Close()
		list := []*leader.Candidate{f.campaign(0, "e"), f.campaign(1, "e")}
		first, term := wins(t, list...)
		l := sees(t, o, f.Node(first+1).Name())
		if l.Epoch != term.Epoch() || l.Value != fmt.Sprint("v", first) {
			t.Errorf("%+v, epoch %d", l, term.Epoch())
		}
		for i, r := range f.r {
			if pid, ok := r.Whereis(leader.LeaderName("e")); !ok || pid.Node != l.Node {
				t.Errorf("node %d sees %v", i, pid)
			}
		}
		start := time.Now()
		f.Kill(first + 1)
		other := 1 - first
		_, next := wins(t, list[other])
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("the next leader came after %v", took)
		}
		ends(t, term, leader.ErrDeposed)
		if next.Epoch() <= term.Epoch() {
			t.Errorf("epoch %d after %d", next.Epoch(), term.Epoch())
		}
		sees(t, o, f.Node(other+1).Name())
	})
	t.Run("resign", func(t *testing.T) {
		f := newField(t, 2)
		a := f.campaign(0, "e")
		_, term := wins(t, a)
		b := f.campaign(1, "e")
		term.Resign()
		ends(t, term, leader.ErrResigned)
		_, next := wins(t, b)
		if next.Epoch() <= term.Epoch() {
			t.Errorf("epoch %d after %d", next.Epoch(), term.Epoch())
		}
		_ = b.Close()
		ends(t, next, leader.ErrResigned)
		wins(t, a)
	})
	t.Run("LEAD-05_LEAD-07_LEAD-08", func(t *testing.T) {
		f := newField(t, 2)
		o := leader.Observe(t.Context(), f.b[1], "e")
		defer o.Close()
		b := f.campaign(1, "e")
		_, tb := wins(t, b)
		a := f.campaign(0, "e")
		f.Partition(1)
		_, ta := wins(t, a) // each side has one
		if tb.Context().Err() != nil {
			t.Error("the leader was deposed by the partition")
		}
		f.MendAll()
		ends(t, tb, leader.ErrDeposed)
		sees(t, o, f.Node(1).Name())
		if ta.Context().Err() != nil {
			t.Error("both were deposed")
		}
		_ = a.Close() // the other one is a follower, and comes next
		wins(t, b)
	})
	t.Run("LEAD-09_priority", func(t *testing.T) {
		f := newField(t, 3)
		low := f.campaign(0, "e")
		_, tl := wins(t, low)
		high := f.campaign(1, "e", leader.Priority(5))
		ends(t, tl, leader.ErrOutranked)
		_, th := wins(t, high)
		middle := f.campaign(2, "e", leader.Priority(3))
		_ = high.Close()
		ends(t, th, leader.ErrResigned)
		if who, _ := wins(t, low, middle); who != 1 {
			t.Error("the lowest leads")
		}
	})
	t.Run("LEAD-09_failover", func(t *testing.T) {
		const delay = 5 * tick
		f := newField(t, 2)
		a := f.campaign(0, "e")
		_, _ = wins(t, a)
		b := f.campaign(1, "e", leader.FailoverDelay(delay))
		o := leader.Observe(t.Context(), f.b[1], "e")
		defer o.Close()
		sees(t, o, f.Node(1).Name())
		start := time.Now()
		f.Kill(1)
		wins(t, b)
		if took := time.Since(start); took < delay {
			t.Errorf("it took over after %v, before the delay of %v", took, delay)
		}
	})
	t.Run("bad_arguments", func(t *testing.T) {
		f := newField(t, 1)
		for _, election := range []string{"", string(make([]byte, 65))} {
			if _, err := leader.Campaign(t.Context(), f.b[0], election); !errors.Is(err, leader.ErrBadArgument) {
				t.Error(err)
			}
		}
		for _, opt := range []leader.Option{leader.Value(string(make([]byte, 1025))), leader.FailoverDelay(-1)} {
			if _, err := leader.Campaign(t.Context(), f.b[0], "e", opt); !errors.Is(err, leader.ErrBadArgument) {
				t.Error(err)
			}
		}
		if _, err := leader.Campaign(t.Context(), leader.Quorum("n", nil), "e", leader.Priority(1)); !errors.Is(err, leader.ErrUnsupported) {
			t.Error(err)
		}
	})
}
