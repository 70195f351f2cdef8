package global

import (
	"context"
	"fmt"
	"time"

	"github.com/kith-mesh/kith/process"
)

// The resolvers that every registry has. All but ResolveOlder keep the process on the node that is lower by name, which
// needs no clock (GLOB-36).
const (
	// ResolveStop keeps one; the other is told with a Conflict, has a grace period to come to its end, and is then ended
	// with ErrConflict, which it can trap.
	ResolveStop = "stop"
	// ResolveNotify keeps one; the other is told with a Conflict and lives on without the name (GLOB-37).
	ResolveNotify = "notify"
	// ResolveDrop takes the name from both and tells both (GLOB-38).
	ResolveDrop = "drop"
	// ResolveOlder is ResolveStop, but keeps the one that was registered earlier by the versions. Between partitions that
	// rests on the time of day of two machines.
	ResolveOlder = "older"
	// ResolveDefault is the resolver of a registration that names none.
	ResolveDefault = ResolveStop
)

// DefaultGrace is how long a process has between a Conflict and its end.
const DefaultGrace = 5 * time.Second

// Clash is a name that two processes have, each in its partition.
type Clash struct {
	Name string
	// Lower and Higher are the registrations, by the names of the nodes. Resolvers run on the lower node.
	Lower, Higher Entry
}

// Outcome is what a resolver decides.
type Outcome struct {
	// Keep has the name from now on. The zero PID, or one that is neither of the two, means nobody (GLOB-33, GLOB-34).
	Keep process.PID
	// Stop ends whoever loses after the grace period. Without it, losers are told and live on.
	Stop bool
}

// Resolver decides a clash. It runs on a goroutine of its own, once for each clash in the mesh, may block and may call
// the registry; the name is taken while it runs (GLOB-27, GLOB-30, GLOB-41). ctx ends with the registry. If the session
// of the two nodes ends meanwhile, the outcome is void, and the resolver is called again when they meet again (GLOB-43).
// A panic has the effect of ResolveNotify (GLOB-35).
type Resolver func(ctx context.Context, c Clash) Outcome

// Conflict is the message that a process gets when it loses its name to one that another partition had registered. It
// comes only from its own node, so the type needs no registration.
type Conflict struct {
	Name string
	// Other is the process that had the name too.
	Other process.PID
	// Dropped says that Other has lost the name as well.
	Dropped bool
	// Stop is the time after which the process is ended; zero if it may live on.
	Stop time.Duration
}

// RegisterResolver gives a resolver a name, which registrations refer to. Register the same on every node before New is
// used for registrations that name it: a node that does not know the resolver of a clash does as ResolveDefault. Of two
// registrations with different resolvers that of the older one counts (GLOB-40). Errors: ErrTaken for a name that is in
// use, ErrBadName, ErrBadArgument.
func (r *Registry) RegisterResolver(name string, f Resolver) error {
	if err := checkName(name); err != nil {
		return err
	}
	if f == nil {
		return fmt.Errorf("%w: no resolver", ErrBadArgument)
	}
	switch name {
	case ResolveStop, ResolveNotify, ResolveDrop, ResolveOlder:
		return fmt.Errorf("%w: resolver %q is built in", ErrTaken, name)
	}
	if _, had := r.resolvers.LoadOrStore(name, f); had {
		return fmt.Errorf("%w: resolver %q", ErrTaken, name)
	}
	return nil
}

// builtIn decides by the name of a built-in resolver; unknown names are the default.
func builtIn(name string, c Clash) decision {
	switch name {
	case ResolveNotify:
		return decision{keep: keepLower}
	case ResolveDrop:
		return decision{keep: keepNone}
	case ResolveOlder:
		if c.Higher.Version.Compare(c.Lower.Version) < 0 {
			return decision{keep: keepHigher, stop: true}
		}
	}
	return decision{keep: keepLower, stop: true}
}

// resolverOf is the name of the resolver that counts.
func resolverOf(c Clash) string {
	if c.Higher.Version.Compare(c.Lower.Version) < 0 {
		return c.Higher.Resolver
	}
	return c.Lower.Resolver
}

// decide runs the resolver of a clash.
func (r *Registry) decide(c Clash) (d decision) {
	name := resolverOf(c)
	f, ok := r.resolvers.Load(name)
	if !ok {
		return builtIn(name, c)
	}
	defer func() {
		if v := recover(); v != nil {
			r.stats.resolverPanics.Add(1)
			r.log.Error().Str("name", c.Name).Str("resolver", name).Interface("panic", v).Msg("resolver panicked")
			d = builtIn(ResolveNotify, c)
		}
	}()
	out := f.(Resolver)(r.ctx, c)
	d = decision{keep: keepNone, stop: out.Stop}
	switch out.Keep {
	case c.Lower.PID:
		d.keep = keepLower
	case c.Higher.PID:
		d.keep = keepHigher
	}
	return d
}

// resolve implements effects.
func (r *Registry) resolve(p *peer, own, theirs *entry) {
	r.stats.clashes.Add(1)
	r.running.Go(func() {
		d := r.decide(Clash{Name: own.Name, Lower: own.Entry, Higher: theirs.Entry})
		r.do(func() { r.core.resolved(p, own, theirs, d) })
	})
}

// lost implements effects.
func (r *Registry) lost(e *entry, other process.PID, d decision) {
	r.stats.lost.Add(1)
	msg := Conflict{Name: e.Name, Other: other, Dropped: d.keep == keepNone}
	if d.stop {
		msg.Stop = r.grace
	}
	pid := e.PID
	r.rt.Deliver([]process.PID{pid}, msg)
	if !d.stop {
		return
	}
	r.running.Go(func() {
		grace := time.NewTimer(r.grace)
		defer grace.Stop()
		ended := make(chan struct{})
		cancel := r.rt.Watch(pid, func(error) { close(ended) })
		defer cancel()
		select {
		case <-grace.C:
			r.rt.Exit(pid, ErrConflict)
		case <-ended:
		case <-r.ctx.Done():
		}
	})
}
