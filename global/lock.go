package global

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/quorum"
)

// Lock is one handle of a lock that was taken. Several handles of one lock exist only for the same requester.
type Lock struct {
	r      *Registry
	h      *hold         // in available mode
	lease  *quorum.Lease // in quorum mode
	token  Version
	ctx    context.Context
	cancel context.CancelCauseFunc
	once   sync.Once
}

// LockOption changes one call of Lock or Trans.
type LockOption func(*lockOptions)

type lockOptions struct {
	nodes   []string
	some    bool
	retries int
	owner   process.PID
}

// OnNodes takes the lock at these connected nodes only, this node included only if it is named: locks on disjoint sets
// are independent (GLOB-60). All of them must be connected, and there must be one (GLOB-63). Without it, the lock is
// that of all nodes that this one is connected to and itself; nodes that do not answer within a tick are left out, and
// nodes that come later learn of it. In quorum mode it is ErrBadArgument.
func OnNodes(names ...string) LockOption {
	return func(o *lockOptions) { o.nodes, o.some = names, true }
}

// Retries bounds the attempts: n after the first, with random pauses that grow from 250 ms to 8 s between them. 0 makes
// it one attempt (GLOB-54). Without it, Lock waits in line within its context.
func Retries(n int) LockOption { return func(o *lockOptions) { o.retries = n } }

// HeldBy gives the lock back when the local process ends.
func HeldBy(pid process.PID) LockOption { return func(o *lockOptions) { o.owner = pid } }

// waitInLine is the number of retries of a call without Retries.
const waitInLine = -1

// Lock takes the lock of a resource for a requester. Others with the same requester get it too, and it is free when
// all of them have given it back (GLOB-56). It is given back by Unlock, at the end of the process of HeldBy, and when
// the node goes down. Each call gives a handle of its own, also to the same requester (GLOB-57, GLOB-62).
//
// In available mode, each side of a partition may take the lock. When two sides meet, the handles on the node that is
// higher by name are lost: their contexts end with ErrLockLost (GLOB-64). What must be safe uses the token. In quorum mode
// a minority gets ErrNoQuorum; each handle is a lease that its node renews, and whose context ends before another
// requester can have the lock; waiters are not served in the order in which they came, and the lock of a node that died
// is free when its lease ends.
//
// Nothing detects deadlocks: take several locks always in the same order (GLOB-70).
//
// Errors: ErrLocked when the retries are used up, ErrNotConnected for a named node, ErrBadName, ErrBadArgument for bad
// options, ErrNoProcess for a HeldBy that is not alive on this node, ErrNoQuorum, ErrClosed, ctx.Err().
func (r *Registry) Lock(ctx context.Context, resource, requester string, opts ...LockOption) (*Lock, error) {
	o := lockOptions{retries: waitInLine}
	for _, opt := range opts {
		opt(&o)
	}
	if err := checkLock(resource, requester, &o); err != nil {
		return nil, err
	}
	if !o.owner.IsZero() && !r.rt.Alive(o.owner) {
		return nil, fmt.Errorf("%w: %v", ErrNoProcess, o.owner)
	}
	var l *Lock
	var err error
	if r.ledger != nil {
		l, err = r.ledger.lock(ctx, resource, requester, &o)
	} else {
		l, err = r.lockHere(ctx, resource, requester, &o)
	}
	if err != nil {
		return nil, err
	}
	if !o.owner.IsZero() {
		disown := r.rt.Watch(o.owner, func(error) { go l.Unlock() })
		context.AfterFunc(l.ctx, disown)
	}
	return l, nil
}

// lockHere takes a lock in available mode.
func (r *Registry) lockHere(ctx context.Context, resource, requester string, o *lockOptions) (*Lock, error) {
	type result struct {
		token Version
		err   error
	}
	answer := make(chan result, 1)
	l := &Lock{r: r}
	l.ctx, l.cancel = context.WithCancelCause(r.ctx)
	l.h = &hold{
		resource: resource, requester: requester, retries: o.retries,
		done: func(v Version, err error) { answer <- result{v, err} },
		lost: func() { l.cancel(ErrLockLost) },
	}
	err := r.call(func() {
		if o.some {
			ids, err := r.core.idsOf(o.nodes)
			if err != nil {
				answer <- result{err: err}
				return
			}
			l.h.nodes = ids
		}
		r.core.lock(l.h)
	})
	if err == nil {
		select {
		case res := <-answer:
			l.token, err = res.token, res.err
		case <-ctx.Done():
			err = ctx.Err()
		case <-r.ctx.Done():
			err = ErrClosed
		}
	}
	if err != nil {
		l.Unlock()
		return nil, err
	}
	return l, nil
}

func checkLock(resource, requester string, o *lockOptions) error {
	if err := checkName(resource); err != nil {
		return err
	}
	switch {
	case requester == "" || len(requester) > MaxName:
		return fmt.Errorf("%w: requester of %d bytes, allowed are 1 to %d", ErrBadArgument, len(requester), MaxName)
	case o.some && len(o.nodes) == 0:
		return fmt.Errorf("%w: a lock on no node", ErrBadArgument)
	case o.retries < waitInLine:
		return fmt.Errorf("%w: %d retries", ErrBadArgument, o.retries)
	}
	return nil
}

// idsOf finds the nodes of a set.
func (c *core) idsOf(names []string) ([]node.ID, error) {
	var list []node.ID
	for _, name := range names {
		if name == c.self.Name {
			list = append(list, c.self)
			continue
		}
		i := slices.IndexFunc(c.view, func(p *peer) bool { return p.id.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("%w: %s", ErrNotConnected, name)
		}
		list = append(list, c.view[i].id)
	}
	return list, nil
}

// Unlock gives the lock back. It does not wait for other nodes: see Release. Calling it again does nothing (GLOB-59).
func (l *Lock) Unlock() {
	l.once.Do(func() {
		if l.lease == nil {
			l.r.do(func() { l.r.core.unlock(l.h) })
		}
		l.cancel(context.Canceled)
		if l.lease != nil {
			l.lease.ReleaseSoon("")
		}
	})
}

// Release is Unlock that returns, in quorum mode, when the stores have agreed that the lock is free; in available mode it
// does not wait. Error: ErrNoQuorum: then the lock comes free when its lease ends.
func (l *Lock) Release(ctx context.Context) error {
	l.Unlock()
	if l.lease == nil {
		return nil
	}
	return l.lease.Release(ctx)
}

// Context ends when the lock is given back or lost, with ErrLockLost as its cause in the latter case.
func (l *Lock) Context() context.Context { return l.ctx }

// Token is greater than that of every holder before: in available mode as far as the nodes of the set know, in quorum mode
// of all that there have been. Whoever writes under the lock
// passes it along, so that writes with a smaller one can be refused.
func (l *Lock) Token() uint64 { return l.token.Clock }

// Trans takes a lock, runs f, and gives the lock back, however f ends; a panic goes on (GLOB-67). The context of f ends
// with ctx and with the lock. It returns what f returns, or that the lock could not be taken, which f cannot be mistaken
// for: then ran is false (GLOB-68).
func (r *Registry) Trans(ctx context.Context, resource, requester string, f func(ctx context.Context) error, opts ...LockOption) (ran bool, err error) {
	l, err := r.Lock(ctx, resource, requester, opts...)
	if err != nil {
		return false, err
	}
	defer l.Unlock()
	fctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })()
	return true, f(fctx)
}

// LockInfo is a lock as a node sees it.
type LockInfo struct {
	// Requester is who asked for it, and Nodes are where its handles are, sorted, once for each handle.
	Requester string
	Nodes     []string
	// Token is the greatest of its handles, as far as this node was told; Waiting is how many wait in line here.
	Token   uint64
	Waiting int
}

// LockOwner says who holds the lock of a resource, as this node sees it: it sees the locks on sets that it is part of.
// It does not wait for other nodes.
func (r *Registry) LockOwner(resource string) (LockInfo, bool) {
	if r.ledger != nil {
		return r.ledger.owner(resource)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.core.locks.table[resource]
	if s == nil {
		return LockInfo{}, false
	}
	info := LockInfo{Requester: s.requester, Token: s.token.Clock, Waiting: len(s.waiting)}
	for _, h := range s.holders {
		info.Nodes = append(info.Nodes, h.node.Name)
	}
	slices.Sort(info.Nodes)
	return info, true
}

// giveUpAll gives back all locks and names of this node's processes.
func (c *core) giveUpAll() {
	for _, h := range c.sortedHolds() {
		c.unlock(h)
	}
	var all []*entry
	for _, o := range c.procs {
		for _, name := range o.names.list() {
			all = append(all, c.own(name))
		}
	}
	for _, e := range all {
		c.unregisterOwn(e, nil)
	}
	c.doubtNoMore()
}

// lockAllLost forgets the handles of a registry that has ended.
func (c *core) lockAllLost() { clear(c.locks.held) }
