package global

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kith-mesh/kith/internal/codec"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/quorum"
)

// ledger is names and locks in quorum mode. What counts is the bucket of package quorum: a name is a lease that the node
// of its process holds. What readers see is a copy that follows the bucket by a watch, in the order of its revisions;
// what this node has changed itself is entered at once.
type ledger struct {
	r        *Registry
	store    *quorum.Store
	watch    *quorum.Watch
	delegate *delegate // registers for other nodes
	names    string    // prefix of the keys of names
	locks    string    // prefix of those of locks

	// Registry.mu guards the fields below.
	table    map[string]*entry
	seen     map[string]uint64     // revision of what is known of a name, also of one that is gone
	own      map[string]*tenure    // names that processes of this node have
	passed   uint64                // as far as the watch has told; what is not newer does not come any more
	due      []due                 // what is kept of names until the watch has passed
	untold   map[string]struct{}   // names of other nodes that are known from an answer, and not from the watch so far
	recent   map[string]uint64     // token of the last tenure that ended here, until the bucket knows
	asking   map[string]int        // registrations under way
	procs    map[uint64]*owner     // processes with names
	held     map[string]LockInfo   // locks, by resource
	waiting  map[string][]chan any // who waits for a lock
	releases map[*Lock]struct{}    // locks of this node
}

// tenure is a name that a process of this node has.
type tenure struct {
	lease *quorum.Lease
	id    uint64 // of the process, whatever others write into the bucket
	e     *entry
}

// due is a name to look at again when the watch has told a revision, or a later one.
type due struct {
	name     string
	revision uint64
}

// owner is a process of this node with names or registrations under way.
type owner struct {
	names  map[string]struct{}
	claims int
}

// patience bounds a call in quorum mode whose context does not end before: longer than the stores need to choose anew.
const patience = 15 * time.Second

// Quorum has the registry keep names and locks in the mesh's store nodes, by majority, instead of on every node: see
// Choose in the documentation of the package. The store belongs to the node of the registry, and is not closed with it.
// A node may have one registry of each kind.
func Quorum(store *quorum.Store) Option { return func(r *Registry) { r.store = store } }

// spaceKey begins the keys of a name space: no two spaces share one.
func spaceKey(kind, space string) string {
	return fmt.Sprintf("global/%s/%d/%s/", kind, len(space), space)
}

func newLedger(r *Registry, store *quorum.Store) *ledger {
	g := &ledger{
		r: r, store: store, names: spaceKey("name", r.space), locks: spaceKey("lock", r.space),
		table: map[string]*entry{}, seen: map[string]uint64{}, own: map[string]*tenure{}, recent: map[string]uint64{},
		asking: map[string]int{}, procs: map[uint64]*owner{}, untold: map[string]struct{}{}, held: map[string]LockInfo{}, waiting: map[string][]chan any{},
		releases: map[*Lock]struct{}{},
	}
	return g
}

// begin follows the bucket.
func (g *ledger) begin() {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	g.watch = g.store.Watch("global/", g.told)
}

// record is what a name's key holds beside its holder.
type record struct {
	ID   uint64 `cbor:"1,keyasint"`
	Meta Meta   `cbor:"2,keyasint,omitempty"`
}

func (e *Entry) record() ([]byte, error) { return codec.Marshal(record{ID: e.PID.ID, Meta: e.Meta}) }

// entryOf reads what a key says of a name.
func entryOf(name string, h quorum.Holder) (*entry, error) {
	var rec record
	if err := codec.Unmarshal(h.Value, &rec); err != nil {
		return nil, fmt.Errorf("registration of %q: %w", name, err)
	}
	return &entry{Entry: Entry{
		Name: name, PID: process.PID{Node: h.Node, Incarnation: h.Incarnation, ID: rec.ID}, Meta: rec.Meta,
		Version: Version{Clock: h.Token, Node: h.Incarnation}, Resolver: ResolveDefault,
	}}, nil
}

// told takes what the watch tells, in the order of the revisions.
func (g *ledger) told(c quorum.Change) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	g.passed = max(g.passed, c.Revision)
	if name, ok := strings.CutPrefix(c.Key, g.names); ok && c.Revision >= g.seen[name] {
		delete(g.untold, name)
	}
	g.take(c)
	g.check(g.review())
	if c.Kind == quorum.Synced { // what the watch did not know it did not miss
		g.check(slices.Collect(maps.Keys(g.untold)))
	}
}

// follow takes the answer to a call, which may come before the watch tells the same or after. If the name is gone again
// before the watch has told of it, the watch does not tell of its end either: so that is looked after.
func (g *ledger) follow(name string, h quorum.Holder, revision uint64) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	if revision <= g.seen[name] {
		return
	}
	g.take(quorum.Change{Kind: quorum.Held, Key: g.names + name, Holder: h, Revision: revision})
	if e := g.table[name]; e != nil && e.lease == nil && g.seen[name] == revision {
		g.untold[name] = struct{}{}
		g.due = append(g.due, due{name, revision})
		g.check(g.review())
	}
}

// check asks the stores about names that are known from an answer only, in the background.
func (g *ledger) check(names []string) {
	if g.r.closed || len(names) == 0 {
		return
	}
	g.r.running.Go(func() {
		for _, name := range names {
			for errors.Is(g.checkOne(name), ErrNoQuorum) && g.r.ctx.Err() == nil {
			}
		}
	})
}

// checkOne takes a registration out that a majority does not know, or no more: a token does not come again.
func (g *ledger) checkOne(name string) error {
	g.r.mu.Lock()
	e := g.table[name]
	_, untold := g.untold[name]
	g.r.mu.Unlock()
	if e == nil || !untold {
		return nil
	}
	now, ok, err := g.confirm(g.r.ctx, name)
	if err != nil {
		return err
	}
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	_, untold = g.untold[name]
	switch have := g.table[name]; {
	case !untold || have == nil || have.Version != e.Version:
	case ok && now.Version == e.Version: // the watch tells of it with its next renewal, unless it is gone before
		g.due = append(g.due, due{name, g.passed + 1})
	default:
		g.remove(name, 0, LeaseEnded)
	}
	return nil
}

// take takes what the stores have agreed on.
func (g *ledger) take(c quorum.Change) {
	if name, ok := strings.CutPrefix(c.Key, g.names); ok {
		if c.Kind == quorum.Held {
			g.onHeld(name, c)
		} else {
			g.onFreed(name, c)
		}
	} else if resource, ok := strings.CutPrefix(c.Key, g.locks); ok {
		g.onLock(resource, c)
	}
}

// onHeld takes a registration. This node believes in one of its own processes only while it keeps the lease itself: one
// that it does not know is left over from a call whose answer was lost, and is taken out of the bucket.
func (g *ledger) onHeld(name string, c quorum.Change) {
	if c.Revision <= g.seen[name] {
		return
	}
	e, err := entryOf(name, c.Holder)
	if err != nil {
		g.r.stats.badFrames.Add(1)
		return
	}
	t := g.own[name]
	switch mine := e.PID.NodeID() == g.r.self; {
	case t != nil && mine && t.lease.Token() == c.Holder.Token:
		e.lease = t.lease
		t.e = e
	case mine:
		if g.asking[name] == 0 && g.recent[name] != c.Holder.Token {
			g.evict(c.Key, c.Holder.Token)
		}
		return
	case t != nil:
		g.end(t)
	}
	g.put(e, c.Revision)
}

// onFreed takes the end of a registration.
func (g *ledger) onFreed(name string, c quorum.Change) {
	t := g.own[name]
	if c.Revision < g.seen[name] || t != nil && c.Missed { // of an own one the lease itself knows better
		return
	}
	if t != nil {
		g.end(t)
	}
	why := ByCall
	switch {
	case c.Expired || c.Missed:
		why = LeaseEnded
	case c.Why == whyExited:
		why = Exited
	}
	delete(g.recent, name)
	g.remove(name, c.Revision, why)
}

// whyExited is what the bucket says of a name whose process has ended.
const whyExited = "exited"

// put enters a registration, told at a revision.
func (g *ledger) put(e *entry, revision uint64) {
	before := g.table[e.Name]
	g.table[e.Name], g.seen[e.Name] = e, revision
	if before != nil && before.same(e) {
		g.r.show(e)
		return // only its lease was renewed
	}
	g.r.changed(before, e, ByCall)
}

// remove takes a registration out of the copy; what is told of it up to the revision is out of date.
func (g *ledger) remove(name string, revision uint64, why Reason) {
	delete(g.untold, name)
	if e := g.table[name]; e != nil {
		delete(g.table, name)
		g.r.changed(e, nil, why)
	}
	g.seen[name] = max(g.seen[name], revision)
	if g.seen[name] > g.passed {
		g.due = append(g.due, due{name, g.seen[name]})
	}
	g.forget(name)
}

// forget drops what is kept of a name that is gone, once nothing older comes.
func (g *ledger) forget(name string) {
	if g.table[name] == nil && g.asking[name] == 0 && g.seen[name] <= g.passed {
		delete(g.seen, name)
	}
}

// review looks at the names that are due, and returns those that the watch has passed without telling of them. One that
// became due sooner may wait for one before it, until the next change.
func (g *ledger) review() (passedOver []string) {
	for len(g.due) > 0 && g.due[0].revision <= g.passed {
		name := g.due[0].name
		g.due = g.due[1:]
		g.forget(name)
		if g.own[name] == nil {
			delete(g.recent, name) // should its lease be told of once more, it is freed once more
		}
		if _, untold := g.untold[name]; untold {
			passedOver = append(passedOver, name)
		}
	}
	if len(g.due) == 0 {
		g.due = nil
	}
	return passedOver
}

// ended keeps the token of a tenure that is over until the watch has told something newer.
func (g *ledger) ended(name string, token uint64) {
	g.recent[name] = token
	g.due = append(g.due, due{name, max(token, g.passed) + 1})
}

// hide takes an own registration out of the copy, unless somebody else has the name there already: the news of that may
// come before the answer to the call that took it, and before its lease finds out.
func (g *ledger) hide(t *tenure, why Reason) {
	if e := g.table[t.e.Name]; e != nil && e.lease == t.lease {
		g.remove(e.Name, 0, why)
	}
}

// end forgets an own name; what readers see is another matter.
func (g *ledger) end(t *tenure) {
	name := t.e.Name
	t.lease.Abandon()
	if g.own[name] == t {
		delete(g.own, name)
		g.ended(name, t.lease.Token())
	}
	g.disown(t)
}

// disown takes a name from its process, whose end does not concern it any more.
func (g *ledger) disown(t *tenure) {
	if o := g.procs[t.id]; o != nil {
		delete(o.names, t.e.Name)
		g.letGo(t.id, o)
	}
}

func (g *ledger) letGo(id uint64, o *owner) {
	if len(o.names) == 0 && o.claims == 0 {
		delete(g.procs, id)
		g.r.unwatch(id)
	}
}

// over takes out a name whose lease has ended by itself.
func (g *ledger) over(t *tenure) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	if name := t.e.Name; g.own[name] == t {
		g.end(t)
		g.hide(t, LeaseEnded)
	}
}

// evict frees a key in the background.
func (g *ledger) evict(key string, token uint64) {
	if g.r.closed {
		return
	}
	g.r.running.Go(func() {
		ctx, cancel := context.WithTimeout(g.r.ctx, patience)
		defer cancel()
		_, _ = g.store.Evict(ctx, key, token) // otherwise it goes when its lease ends
	})
}

// exit takes the names of an own process that has ended.
func (g *ledger) exit(id uint64) {
	o := g.procs[id]
	if o == nil {
		return
	}
	for name := range o.names {
		t := g.own[name]
		if t == nil {
			continue
		}
		t.lease.ReleaseSoon(whyExited)
		g.end(t)
		g.hide(t, Exited)
	}
}

// giveUpAll gives back all that this node has, and waits for that, but not for long.
func (g *ledger) giveUpAll() {
	g.r.mu.Lock()
	var leases []*quorum.Lease
	for name, t := range g.own {
		leases = append(leases, t.lease)
		delete(g.own, name)
		g.disown(t) // its end may be told while the stores are asked below
		g.hide(t, ByCall)
	}
	for l := range g.releases {
		leases = append(leases, l.lease)
	}
	g.r.mu.Unlock()
	ctx, cancel := context.WithTimeout(g.r.ctx, time.Second)
	defer cancel()
	for _, l := range leases {
		l.ReleaseSoon("")
	}
	for _, l := range leases {
		if l.Release(ctx) != nil {
			return // what is left goes when its lease ends
		}
	}
}

// mapError says it in the words of this package.
func (g *ledger) mapError(name string, err error) error {
	var taken *quorum.TakenError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &taken):
		holder := process.PID{Node: taken.Holder.Node, Incarnation: taken.Holder.Incarnation}
		if e, err := entryOf(name, taken.Holder); err == nil {
			holder = e.PID
		}
		return &TakenError{Name: name, Holder: holder}
	case errors.Is(err, quorum.ErrNotHeld):
		return ErrNoName
	case errors.Is(err, quorum.ErrClosed):
		return ErrClosed
	}
	return err
}
