package leader

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/kith-mesh/kith/quorum"
)

// quorumPatience is how long a candidate on Quorum waits after an error, and lets others go first after it has resigned.
const quorumPatience = 250 * time.Millisecond

// giveUp bounds the attempt to lead, and to let go, so that a candidate without a majority heeds its context and news.
const giveUp = 5 * time.Second

// store is the backend with a majority.
type store struct {
	name string
	s    *quorum.Store
}

// Quorum has elections rest on leases that a majority of the store nodes has agreed on. node is the full name of this
// node, whose store it is. Priorities are not supported.
func Quorum(node string, s *quorum.Store) Backend { return &store{name: node, s: s} }

func (q *store) node() string            { return q.name }
func (q *store) life() context.Context   { return q.s.Context() }
func (q *store) ranks() bool             { return false }
func (q *store) patience() time.Duration { return quorumPatience }

func (q *store) enter(context.Context, string, int) (func(), error) { return func() {}, nil }

func (q *store) try(ctx context.Context, election, value string) (*mandate, error) {
	limited, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	l, err := q.s.Acquire(limited, LeaderName(election), []byte(value))
	if errors.Is(err, quorum.ErrTaken) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	release := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUp)
		defer cancel()
		_ = l.Release(ctx) // otherwise the lease ends by itself
	}
	return &mandate{ctx: l.Context(), epoch: l.Token(), release: release}, nil
}

// storeView follows the store.
type storeView struct {
	w *quorum.Watch

	mu     sync.Mutex // guards the fields below
	leader Leader
	led    bool
	synced bool
}

func (q *store) watch(election string, changed func()) view {
	v := &storeView{}
	v.w = q.s.WatchKey(LeaderName(election), func(c quorum.Change) {
		v.apply(c)
		changed()
	})
	return v
}

func (v *storeView) apply(c quorum.Change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case c.Kind == quorum.Synced:
		v.synced = true
	case c.Kind == quorum.Held:
		v.leader, v.led = Leader{Node: c.Holder.Node, Epoch: c.Holder.Token, Value: string(c.Holder.Value)}, true
	default:
		v.led = false
	}
}

// errNotYet says that the stores have not told anything so far.
var errNotYet = errors.New("the stores have not answered yet")

func (v *storeView) look(context.Context) (Leader, bool, bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.synced {
		return Leader{}, false, false, errNotYet
	}
	return v.leader, v.led, false, nil
}

func (v *storeView) outranked(int) bool { return false }

func (v *storeView) stop() { v.w.Close() }
