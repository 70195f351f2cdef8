package leader_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kith-mesh/kith/leader"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/quorum"
)

const lease = 2 * time.Second

// newQuorumField is nodes that can campaign by majority; the first three are the stores.
func newQuorumField(t *testing.T, n int, opts ...meshtest.Option) *field {
	t.Helper()
	f := &field{t: t, Mesh: meshtest.New(t, n, append(opts, meshtest.Tick(tick), meshtest.Stores(3))...)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	for i := range n {
		s, err := quorum.Open(ctx, f.Node(i+1), quorum.WithLease(lease))
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		f.b = append(f.b, leader.Quorum(f.Node(i+1).Name(), s))
	}
	return f
}

// reign is the terms so far. No term may begin before the one before it has ended, and epochs grow.
type reign struct {
	t    *testing.T
	last *leader.Term
}

func (r *reign) lead(term *leader.Term) {
	r.t.Helper()
	if last := r.last; last != nil {
		if last.Context().Err() == nil {
			r.t.Errorf("epoch %d begins while %d lasts", term.Epoch(), last.Epoch())
		}
		if last.Epoch() >= term.Epoch() {
			r.t.Errorf("epoch %d after %d", term.Epoch(), last.Epoch())
		}
	}
	r.last = term
}

// TestLEADQuorum is the contract of elections by majority.
func TestLEADQuorum(t *testing.T) {
	t.Parallel()
	f := newQuorumField(t, 5)
	r := &reign{t: t}
	o := leader.Observe(t.Context(), f.b[0], "e")
	defer o.Close()
	a, b := f.campaign(3, "e"), f.campaign(4, "e")
	list := []*leader.Candidate{a, b}
	who, term := wins(t, list...)
	r.lead(term)

	t.Run("LEAD-01_LEAD-02", func(t *testing.T) {
		if l := sees(t, o, f.Node(who+4).Name()); l.Epoch != term.Epoch() || l.Value != fmt.Sprint("v", who+3) {
			t.Errorf("%+v, epoch %d", l, term.Epoch())
		}
	})
	t.Run("resign", func(t *testing.T) {
		start := time.Now()
		term.Resign()
		ends(t, term, leader.ErrResigned)
		var next int
		next, term = wins(t, list...)
		r.lead(term)
		if next == who {
			t.Error("the one that resigned leads again at once")
		}
		if took := time.Since(start); took > lease {
			t.Errorf("the next leader came after %v, though the other one resigned", took)
		}
		who = next
		sees(t, o, f.Node(who+4).Name())
	})
	t.Run("LEAD-05_minority", func(t *testing.T) {
		f.Partition(who + 4)
		next, won := wins(t, list...)
		if next == who {
			t.Error("the one without a majority leads")
		}
		r.lead(won)
		ends(t, term, quorum.ErrLeaseLost)
		term = won
		f.MendAll()
		who = next
		sees(t, o, f.Node(who+4).Name())
		if term.Context().Err() != nil {
			t.Error("the one that came back has deposed the leader")
		}
	})
	t.Run("LEAD-04", func(t *testing.T) {
		third := f.campaign(1, "e")
		f.Kill(who + 4)
		_, term = wins(t, third, list[1-who])
		r.lead(term)
	})
	t.Run("no_majority", func(t *testing.T) {
		f.Kill(1)
		f.Kill(3)
		ends(t, term, quorum.ErrLeaseLost)
		select {
		case <-list[1-who].Terms():
			t.Error("somebody leads without a majority")
		case <-time.After(2 * lease):
		}
	})
}

// TestEndsWithTheNode: campaigns and observers end with the node, or the store, that they rest on.
func TestEndsWithTheNode(t *testing.T) {
	names, majority := newField(t, 2), newQuorumField(t, 3)
	for what, f := range map[string]*field{"names": names, "quorum": majority} {
		t.Run(what, func(t *testing.T) {
			leads := f.campaign(0, "e")
			_, term := wins(t, leads)
			follows := f.campaign(1, "e")
			o := leader.Observe(t.Context(), f.b[1], "e")
			sees(t, o, f.Node(1).Name())
			f.Kill(2)
			if _, open := <-follows.Terms(); open {
				t.Error("the follower leads, though its node has stopped")
			}
			for range o.Changes() {
			}
			f.Kill(1)
			<-term.Context().Done()
			if _, open := <-leads.Terms(); open {
				t.Error("it leads again, though its node has stopped")
			}
		})
	}
}

// TestQuorumRefuses: what needs to know the other candidates is not supported.
func TestQuorumRefuses(t *testing.T) {
	for _, opt := range []leader.Option{leader.Priority(1), leader.FailoverDelay(time.Second)} {
		if _, err := leader.Campaign(t.Context(), leader.Quorum("n", nil), "e", opt); !errors.Is(err, leader.ErrUnsupported) {
			t.Error(err)
		}
	}
}
