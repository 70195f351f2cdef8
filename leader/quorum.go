package leader

import (
	"context"
	"errors"
	"time"

	"github.com/kith-mesh/kith/quorum"
)

// lookEvery is how often a candidate or observer on Quorum looks who leads.
const lookEvery = 250 * time.Millisecond

// store is the backend with a majority.
type store struct {
	name string
	s    *quorum.Store
}

// Quorum has elections rest on leases that a majority of the store nodes has agreed on. node is the full name of this
// node, whose store it is. Priorities are not supported.
func Quorum(node string, s *quorum.Store) Backend { return &store{name: node, s: s} }

func (q *store) node() string            { return q.name }
func (q *store) ranks() bool             { return false }
func (q *store) patience() time.Duration { return lookEvery }

func (q *store) enter(context.Context, string, int) (func(), error) { return func() {}, nil }

func (q *store) try(ctx context.Context, election, value string) (*mandate, error) {
	l, err := q.s.Acquire(ctx, LeaderName(election), []byte(value))
	if errors.Is(err, quorum.ErrTaken) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	release := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.patience())
		defer cancel()
		_ = l.Release(ctx) // otherwise the lease ends by itself
	}
	return &mandate{ctx: l.Context(), epoch: l.Token(), release: release}, nil
}

// storeView looks at the store from time to time.
type storeView struct {
	q        *store
	election string
	end      chan struct{}
	done     chan struct{}
}

func (q *store) watch(election string, changed func()) view {
	v := &storeView{q: q, election: election, end: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(v.done)
		look := time.NewTicker(lookEvery)
		defer look.Stop()
		for {
			select {
			case <-look.C:
				changed()
			case <-v.end:
				return
			}
		}
	}()
	return v
}

func (v *storeView) look(ctx context.Context) (Leader, bool, bool, error) {
	h, ok, err := v.q.s.Lookup(ctx, LeaderName(v.election))
	return Leader{Node: h.Node, Epoch: h.Token, Value: string(h.Value)}, ok, false, err
}

func (v *storeView) outranked(int) bool { return false }

func (v *storeView) stop() {
	close(v.end)
	<-v.done
}
