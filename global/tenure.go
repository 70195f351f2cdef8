package global

import (
	"context"
	"fmt"

	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/quorum"
)

// register registers a process by majority, here or by asking its node.
func (g *ledger) register(ctx context.Context, e Entry, move bool) (Version, error) {
	if e.PID.NodeID() != g.r.self {
		return g.delegate.ask(ctx, e, move)
	}
	return g.registerOwn(ctx, e, move)
}

// registerOwn registers a process of this node.
func (g *ledger) registerOwn(ctx context.Context, e Entry, move bool) (Version, error) {
	value, err := e.record()
	if err != nil {
		return Version{}, fmt.Errorf("%w: %w", ErrBadArgument, err)
	}
	if err := g.claim(&e, move); err != nil {
		return Version{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	take := g.store.Acquire
	if move {
		take = g.store.Seize
	}
	lease, err := take(ctx, g.names+e.Name, value)
	return g.claimed(e, lease, err)
}

// claim begins a registration.
func (g *ledger) claim(e *Entry, move bool) error {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	id := e.PID.ID
	o := g.procs[id]
	switch {
	case g.r.closed:
		return ErrClosed
	case !g.r.alive(id):
		return ErrNoProcess
	case o == nil:
		o = &owner{names: map[string]struct{}{}}
		g.procs[id] = o
		g.r.watch(id)
	case !g.r.several && !move && len(o.names)+o.claims > 0:
		return ErrHasName
	}
	o.claims++
	g.count(e.Name, 1)
	return nil
}

// count counts the calls about a name whose answers are taken up. The lock is held.
func (g *ledger) count(name string, n int) {
	if g.asking[name] += n; g.asking[name] == 0 {
		delete(g.asking, name)
		g.forget(name)
	}
}

// expect makes sure that what is older than an answer is not taken for news after it.
func (g *ledger) expect(name string) error {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	if g.r.closed {
		return ErrClosed
	}
	g.count(name, 1)
	return nil
}

func (g *ledger) expected(name string) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	g.count(name, -1)
}

// claimed ends a registration.
func (g *ledger) claimed(e Entry, lease *quorum.Lease, err error) (Version, error) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	defer g.count(e.Name, -1) // until then what has been told of the name meanwhile counts
	id := e.PID.ID
	o := g.procs[id]
	defer func() { // not before: the end of the lease that this one replaces would let the process go
		o.claims--
		g.letGo(id, o)
	}()
	if err != nil {
		return Version{}, g.mapError(e.Name, err)
	}
	e.Version, e.Resolver = Version{Clock: lease.Token(), Node: g.r.self.Incarnation}, ResolveDefault
	if why := g.tooLate(id, lease); why != nil {
		lease.ReleaseSoon("")
		g.ended(e.Name, lease.Token())
		return Version{}, why
	}
	if old := g.own[e.Name]; old != nil {
		g.end(old)
	}
	t := &tenure{lease: lease, id: id, e: &entry{Entry: e, lease: lease}}
	g.own[e.Name] = t
	o.names[e.Name] = struct{}{}
	if lease.Token() > g.seen[e.Name] {
		g.put(t.e, lease.Token())
	}
	context.AfterFunc(lease.Context(), func() { g.over(t) })
	return e.Version, nil
}

// tooLate looks at what may have changed while the stores were asked.
func (g *ledger) tooLate(id uint64, lease *quorum.Lease) error {
	switch {
	case g.r.closed:
		return ErrClosed
	case !g.r.alive(id):
		return ErrNoProcess
	case !lease.Held():
		return fmt.Errorf("%w: the answer came after the lease had ended", ErrNoQuorum)
	}
	return nil
}

// unregister frees a name, whoever has it.
func (g *ledger) unregister(ctx context.Context, name string) error {
	g.r.mu.Lock()
	if g.r.closed {
		g.r.mu.Unlock()
		return ErrClosed
	}
	if t := g.own[name]; t != nil {
		g.end(t)
		g.hide(t, ByCall)
	}
	g.r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	revision, err := g.store.Evict(ctx, g.names+name, 0)
	if err != nil {
		return g.mapError(name, err)
	}
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	if t := g.own[name]; revision >= g.seen[name] && (t == nil || t.lease.Token() < revision) {
		if t != nil {
			g.end(t)
		}
		g.remove(name, revision, ByCall)
	}
	return nil
}

// setMeta replaces the metadata of a name, whoever has it.
func (g *ledger) setMeta(ctx context.Context, name string, meta Meta) error {
	if err := g.expect(name); err != nil {
		return err
	}
	defer g.expected(name)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h, revision, err := g.store.Amend(ctx, g.names+name, func(value []byte) ([]byte, error) {
		e, err := entryOf(name, quorum.Holder{Value: value})
		if err != nil {
			return nil, err
		}
		e.Meta = meta
		return e.record()
	})
	if err != nil {
		return g.mapError(name, err)
	}
	g.follow(name, h, revision)
	return nil
}

// confirm reads a name as the majority has it.
func (g *ledger) confirm(ctx context.Context, name string) (Entry, bool, error) {
	if g.r.ctx.Err() != nil {
		return Entry{}, false, ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h, ok, err := g.store.LookupConfirmed(ctx, g.names+name)
	if err != nil || !ok {
		return Entry{}, false, g.mapError(name, err)
	}
	e, err := entryOf(name, h)
	if err != nil {
		return Entry{}, false, err
	}
	return e.Entry, true, nil
}

// WhereisConfirmed is Whereis as a majority of the stores has it at some moment of the call: it is linearizable with
// Register, ReRegister and Unregister. It needs a registry in quorum mode, takes a round of the stores' agreement, and
// blocks within ctx, but not longer than 15 s. Errors: ErrNoQuorum, always so in available mode; ErrBadName, ErrClosed.
func (r *Registry) WhereisConfirmed(ctx context.Context, name string) (process.PID, bool, error) {
	e, ok, err := r.LookupConfirmed(ctx, name)
	return e.PID, ok, err
}

// LookupConfirmed is WhereisConfirmed with all there is to know of the registration.
func (r *Registry) LookupConfirmed(ctx context.Context, name string) (Entry, bool, error) {
	if err := checkName(name); err != nil {
		return Entry{}, false, err
	}
	if r.ledger == nil {
		return Entry{}, false, fmt.Errorf("%w: this registry is in available mode", ErrNoQuorum)
	}
	return r.ledger.confirm(ctx, name)
}
