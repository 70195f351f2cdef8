package global

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kith-mesh/kith/process"
)

// RegisterOption changes one registration.
type RegisterOption func(*Entry)

// WithMeta gives the registration metadata, at most MaxMeta bytes.
func WithMeta(m Meta) RegisterOption { return func(e *Entry) { e.Meta = maps.Clone(m) } }

// WithResolver names the resolver of the registration: one of the built-in ones or of RegisterResolver. Without it,
// ResolveDefault.
func WithResolver(name string) RegisterOption { return func(e *Entry) { e.Resolver = name } }

// Register gives a process a name that is unique in the mesh, for as long as it lives. The process may live on any
// connected node (GLOB-07). When Register returns nil, the name resolves on this node and on every connected node that
// answers (GLOB-01). It blocks for two round trips; a node that does not answer costs one tick, once, and is left out
// until it is back (GLOB-71); only the node of the process itself is waited for until it is down. Of several nodes that
// race for a name, one gets it (GLOB-05).
//
// When ctx ends first, a process of this node does not get the name, or not for long; for one of another node, it is
// not known.
//
// In quorum mode the name resolves here and on the node of the process when Register returns, and elsewhere soon after, and
// no majority is ErrNoQuorum, after 15 s at the latest: then a process of this node may get the name for a moment, but
// does not keep it.
//
// Errors: ErrTaken, as a *TakenError that says by whom, ErrHasName, ErrNoProcess, ErrNotConnected, ErrBadName,
// ErrBadArgument, ErrClosed, ctx.Err(); in quorum mode ErrNoQuorum and ErrBusy too.
func (r *Registry) Register(ctx context.Context, name string, pid process.PID, opts ...RegisterOption) error {
	_, err := r.register(ctx, name, pid, false, opts)
	return err
}

// RegisterVersion is Register, and returns the version of the registration, whose clock is a fencing token: it is
// greater than that of every registration of the name before, as far as the nodes that are connected know; in quorum mode
// of every one that there has been.
func (r *Registry) RegisterVersion(ctx context.Context, name string, pid process.PID, opts ...RegisterOption) (Version, error) {
	return r.register(ctx, name, pid, false, opts)
}

// ReRegister gives a process a name even if another one has it, in one step: everybody sees the one or the other. The
// other process is not told (GLOB-15), and pid may have another name already (GLOB-16). It blocks and fails like
// Register, but not with ErrTaken or ErrHasName.
func (r *Registry) ReRegister(ctx context.Context, name string, pid process.PID, opts ...RegisterOption) error {
	_, err := r.register(ctx, name, pid, true, opts)
	return err
}

// ReRegisterVersion is ReRegister, and returns the version of the registration: see RegisterVersion.
func (r *Registry) ReRegisterVersion(ctx context.Context, name string, pid process.PID, opts ...RegisterOption) (Version, error) {
	return r.register(ctx, name, pid, true, opts)
}

func (r *Registry) register(ctx context.Context, name string, pid process.PID, move bool, opts []RegisterOption) (Version, error) {
	e := Entry{Name: name, PID: pid, Resolver: ResolveDefault} // in quorum mode there is nothing to resolve
	for _, opt := range opts {
		opt(&e)
	}
	if err := e.check(); err != nil {
		return Version{}, err
	}
	if err := ctx.Err(); err != nil {
		return Version{}, err
	}
	if r.ledger != nil {
		return r.ledger.register(ctx, e, move)
	}
	answer := make(chan error, 1)
	var cl *claim
	var v Version
	err := r.call(func() { cl = r.core.register(e, move, &v, func(err error) { answer <- err }) })
	if err != nil {
		return Version{}, err
	}
	select {
	case err = <-answer:
	case <-ctx.Done():
		if err = r.abandon(cl, answer); errors.Is(err, errAbandoned) {
			err = ctx.Err()
		}
	case <-r.ctx.Done():
		err = ErrClosed
	}
	if err != nil {
		return Version{}, err
	}
	return v, nil
}

// errAbandoned says that a claim was given up before it was answered.
var errAbandoned = errors.New("claim was given up")

// abandon gives up a claim, unless its answer has just come.
func (r *Registry) abandon(cl *claim, answer chan error) (err error) {
	r.do(func() {
		select {
		case err = <-answer:
			return
		default:
		}
		if cl != nil {
			r.core.abandon(cl)
		}
		err = errAbandoned
	})
	return err
}

func (e *Entry) check() error {
	if err := checkName(e.Name); err != nil {
		return err
	}
	if e.PID.IsZero() {
		return fmt.Errorf("%w: the zero PID", ErrNoProcess)
	}
	if e.Resolver == "" || len(e.Resolver) > MaxName {
		return fmt.Errorf("%w: resolver of %d bytes", ErrBadArgument, len(e.Resolver))
	}
	if len(e.Meta) == 0 {
		e.Meta = nil
	}
	return e.Meta.check()
}

// Unregister takes a name from whoever has it; the process lives on and is not told. Any node may do that, and a name
// that nobody has is no error (GLOB-14). When it returns nil, the name is gone on this node and on every connected node
// that answers. It waits for the node of the process until that has answered or is down. Errors: ErrBadName,
// ErrNotConnected if the node of the process is lost meanwhile (which takes the name
// too), ErrNoQuorum, ErrClosed, ctx.Err(); after the latter and ErrNoQuorum the name may go or stay, but a process of this
// node has it no more.
func (r *Registry) Unregister(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if r.ledger != nil {
		return r.ledger.unregister(ctx, name)
	}
	return r.await(ctx, func(done func(error)) { r.core.unregister(name, done) })
}

// SetMeta replaces the metadata of a name, which any node may do. When it returns nil, every connected node that
// answers sees it. Like Unregister it waits for the node of the process. Errors: ErrNoName, ErrBadName, ErrBadArgument,
// ErrNotConnected, ErrClosed, ctx.Err(); in quorum mode ErrNoQuorum too.
func (r *Registry) SetMeta(ctx context.Context, name string, meta Meta) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := meta.check(); err != nil {
		return err
	}
	meta = maps.Clone(meta)
	if r.ledger != nil {
		return r.ledger.setMeta(ctx, name, meta)
	}
	return r.await(ctx, func(done func(error)) { r.core.setMeta(name, meta, done) })
}

// await starts something and waits for its answer.
func (r *Registry) await(ctx context.Context, start func(done func(error))) error {
	answer := make(chan error, 1)
	if err := r.call(func() { start(func(err error) { answer <- err }) }); err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-r.ctx.Done():
		return ErrClosed
	}
}

// Whereis is the process that has a name, as this node sees it (GLOB-08). It reads local memory and takes no lock. A
// process of this node that has ended is never returned, of another node for as long as the news travels (GLOB-09); a
// node that finds that it was frozen does not return its own processes until its peers have confirmed them (GLOB-72).
func (r *Registry) Whereis(name string) (process.PID, bool) {
	if e := r.find(name); e != nil {
		return e.PID, true
	}
	return process.PID{}, false
}

// Lookup is Whereis with all there is to know of the registration.
func (r *Registry) Lookup(name string) (Entry, bool) {
	if e := r.find(name); e != nil {
		return e.Entry, true
	}
	return Entry{}, false
}

func (r *Registry) find(name string) *entry {
	v, ok := r.view.Load(name)
	if !ok {
		return nil
	}
	e := v.(*entry)
	if e.own && (r.doubting.Load() || e.life.Ended() || e.lease != nil && !e.lease.Held()) {
		return nil
	}
	return e
}

// Send sends a message to whoever has the name, and returns who that was (GLOB-17). Errors: ErrNoName if nobody has,
// and those of process.Runtime.Send.
func (r *Registry) Send(ctx context.Context, name string, msg any) (process.PID, error) {
	pid, ok := r.Whereis(name)
	if !ok {
		return process.PID{}, fmt.Errorf("%w: %q", ErrNoName, name)
	}
	return pid, r.rt.Send(ctx, pid, msg)
}

// Names lists the names that begin with prefix, sorted (GLOB-18). The empty prefix is all. It does not block those who
// register, and so is no snapshot of one moment: see Monitor for that.
func (r *Registry) Names(prefix string) []string {
	names := []string{}
	r.each(prefix, func(e *entry) { names = append(names, e.Name) })
	slices.Sort(names)
	return names
}

// Entries lists the registrations whose names begin with prefix, by name, like Names.
func (r *Registry) Entries(prefix string) []Entry {
	list := []Entry{}
	r.each(prefix, func(e *entry) { list = append(list, e.Entry) })
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (r *Registry) each(prefix string, f func(*entry)) {
	r.view.Range(func(k, v any) bool {
		if strings.HasPrefix(k.(string), prefix) {
			if e := r.find(k.(string)); e != nil {
				f(v.(*entry))
			}
		}
		return true
	})
}

// Sync returns once this node knows every name that the connected nodes knew of their own processes when it was called,
// and they know those of this node (GLOB-20). It blocks until each has answered or is down. In quorum mode it returns
// once this node knows all that the stores had agreed on when it was called. Errors: ErrClosed, ErrNoQuorum, ctx.Err(),
// with the names of those that have not answered.
func (r *Registry) Sync(ctx context.Context) error {
	if r.ledger != nil {
		return r.ledger.mapError("", r.ledger.watch.Sync(ctx))
	}
	answer := make(chan string, 1)
	waiting := map[string]struct{}{}
	err := r.call(func() {
		for _, p := range r.core.list {
			waiting[p.id.Name] = struct{}{}
		}
		answer = make(chan string, len(waiting)+1)
		for _, p := range r.core.list {
			r.core.ping(p, func(error) { answer <- p.id.Name })
		}
	})
	if err != nil {
		return err
	}
	for len(waiting) > 0 {
		select {
		case name := <-answer:
			delete(waiting, name)
		case <-ctx.Done():
			return fmt.Errorf("%w: waiting for %s", ctx.Err(), strings.Join(slices.Sorted(maps.Keys(waiting)), ", "))
		case <-r.ctx.Done():
			return ErrClosed
		}
	}
	return nil
}

// WaitPeers returns when at least n connected nodes take part in the same name space: a node takes part a moment after it
// is connected, once its registry has been made. In quorum mode it returns at once. Errors: ErrClosed, ctx.Err().
func (r *Registry) WaitPeers(ctx context.Context, n int) error {
	for r.ledger == nil {
		r.mu.Lock()
		have, meeting := len(r.core.view), r.meeting
		r.mu.Unlock()
		if have >= n {
			break
		}
		select {
		case <-meeting:
		case <-r.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("%w: %d of %d nodes with global names", ctx.Err(), have, n)
		}
	}
	return nil
}

// Peers lists the connected nodes that take part in the same name space, sorted. In quorum mode there are none: nodes
// meet in the stores only.
func (r *Registry) Peers() []string {
	if r.ledger != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.core.view))
	for _, p := range r.core.view {
		names = append(names, p.id.Name)
	}
	slices.Sort(names)
	return names
}
