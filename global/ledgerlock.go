package global

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kith-mesh/kith/quorum"
)

// A lock in quorum mode is one key: its lease is shared by all handles of one requester.

// lock takes a lock by majority.
func (g *ledger) lock(ctx context.Context, resource, requester string, o *lockOptions) (*Lock, error) {
	if o.some {
		return nil, fmt.Errorf("%w: a lock in quorum mode is that of the stores, not of some nodes", ErrBadArgument)
	}
	retries, pause := o.retries, leastPause
	for {
		free, forget := g.await(resource)
		lease, err := g.attempt(ctx, resource, requester)
		if err == nil {
			forget()
			return g.hold(lease)
		}
		if !errors.Is(err, quorum.ErrTaken) {
			forget()
			return nil, g.mapError(resource, err)
		}
		if retries == 0 {
			forget()
			return nil, fmt.Errorf("%w: %q", ErrLocked, resource)
		}
		again := 2 * leastPause // without the news that it is free, that is looked at
		if retries > 0 {
			retries--
			again, free = rand.N(pause), nil
			pause = min(2*pause, mostPause)
		}
		err = g.sleep(ctx, again, free)
		forget()
		if err != nil {
			return nil, err
		}
	}
}

func (g *ledger) attempt(ctx context.Context, resource, requester string) (*quorum.Lease, error) {
	if g.r.ctx.Err() != nil {
		return nil, ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return g.store.AcquireShared(ctx, g.locks+resource, requester, nil)
}

// sleep waits for the time or the news.
func (g *ledger) sleep(ctx context.Context, d time.Duration, news <-chan any) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-news:
	case <-ctx.Done():
		return ctx.Err()
	case <-g.r.ctx.Done():
		return ErrClosed
	}
	return nil
}

// await returns what is closed when the lock is free the next time.
func (g *ledger) await(resource string) (free <-chan any, forget func()) {
	c := make(chan any)
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	g.waiting[resource] = append(g.waiting[resource], c)
	return c, func() {
		g.r.mu.Lock()
		defer g.r.mu.Unlock()
		list := slices.DeleteFunc(g.waiting[resource], func(o chan any) bool { return o == c })
		if g.waiting[resource] = list; len(list) == 0 {
			delete(g.waiting, resource)
		}
	}
}

// hold makes the handle of a lease.
func (g *ledger) hold(lease *quorum.Lease) (*Lock, error) {
	l := &Lock{r: g.r, lease: lease, token: Version{Clock: lease.Token(), Node: g.r.self.Incarnation}}
	l.ctx, l.cancel = context.WithCancelCause(lease.Context())
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	if g.r.closed {
		lease.ReleaseSoon("")
		return nil, ErrClosed
	}
	g.releases[l] = struct{}{}
	context.AfterFunc(l.ctx, func() {
		g.r.mu.Lock()
		defer g.r.mu.Unlock()
		delete(g.releases, l)
	})
	return l, nil
}

// onLock takes who holds a lock.
func (g *ledger) onLock(resource string, c quorum.Change) {
	if c.Kind == quorum.Held {
		nodes := slices.Clone(c.Holder.Members)
		slices.Sort(nodes)
		g.held[resource] = LockInfo{Requester: c.Holder.Group, Nodes: nodes, Token: c.Holder.Token}
		return
	}
	delete(g.held, resource)
	for _, w := range g.waiting[resource] {
		close(w)
	}
	delete(g.waiting, resource)
}

// owner says who holds a lock.
func (g *ledger) owner(resource string) (LockInfo, bool) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	info, ok := g.held[resource]
	info.Waiting = len(g.waiting[resource])
	return info, ok
}
