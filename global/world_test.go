package global

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// world is a mesh without a network and without a clock: cores, and between each two a queue in each direction that the
// test empties one step at a time.
type world struct {
	fail    func(format string, args ...any)
	now     time.Time
	nodes   []*simNode
	conns   uint64
	lives   uint64
	unquiet bool // a link was cut, a node restarted, or time passed: claims may meet
	clashes int
}

const simTick = time.Second

type simNode struct {
	w         *world
	name      string
	id        node.ID
	c         *core
	in        map[*simNode][]packet
	link      map[*simNode]uint64
	up        map[node.ID]uint64 // sessions as this node sees them
	frozen    bool
	procs     map[uint64]bool // alive
	watched   map[uint64]bool
	lastProc  uint64
	seen      map[string]*entry // by events
	resolving []func()
	open      int // calls that were not answered
	doubting  bool
}

type packet struct {
	conn  uint64
	id    node.ID // of the life that it is from
	up    bool
	down  bool
	frame []byte
}

func newWorld(fail func(string, ...any), n int) *world {
	w := &world{fail: fail, now: time.Unix(1_700_000_000, 0)}
	for i := range n {
		s := &simNode{w: w, name: fmt.Sprintf("n%d", i), in: map[*simNode][]packet{}, link: map[*simNode]uint64{}}
		w.nodes = append(w.nodes, s)
		s.start()
	}
	for i, a := range w.nodes {
		for _, b := range w.nodes[i+1:] {
			w.connect(a, b)
		}
	}
	w.settle()
	return w
}

// start begins a life.
func (s *simNode) start() {
	s.w.lives++
	s.id = node.ID{Name: s.name, Incarnation: 100 + s.w.lives}
	s.procs, s.watched, s.seen, s.resolving, s.open = map[uint64]bool{}, map[uint64]bool{}, map[string]*entry{}, nil, 0
	s.doubting, s.frozen, s.up = false, false, map[node.ID]uint64{}
	s.c = newCore(s.id, "", s)
}

func (s *simNode) do(f func()) {
	s.c.at(s.w.now, simTick)
	f()
	s.c.flush()
}

func (w *world) connect(a, b *simNode) {
	if a.link[b] != 0 {
		return
	}
	w.conns++
	a.link[b], b.link[a] = w.conns, w.conns
	a.in[b] = append(a.in[b], packet{conn: w.conns, id: b.id, up: true})
	b.in[a] = append(b.in[a], packet{conn: w.conns, id: a.id, up: true})
}

// cut loses what is under way.
func (w *world) cut(a, b *simNode) {
	conn := a.link[b]
	if conn == 0 {
		return
	}
	w.unquiet = true
	a.link[b], b.link[a] = 0, 0
	for _, d := range [][2]*simNode{{a, b}, {b, a}} {
		rest := slices.DeleteFunc(d[0].in[d[1]], func(p packet) bool { return p.conn == conn })
		if d[0].up[d[1].id] != conn { // it has not come up here
			d[0].in[d[1]] = rest
			continue
		}
		d[0].in[d[1]] = append(rest, packet{conn: conn, id: d[1].id, down: true})
	}
}

// step lets a node take one packet of another.
func (s *simNode) step(from *simNode) bool {
	q := s.in[from]
	if len(q) == 0 || s.frozen {
		return false
	}
	p := q[0]
	s.in[from] = q[1:]
	s.do(func() {
		switch {
		case p.up:
			s.up[p.id] = p.conn
			s.c.peerUp(p.id)
		case p.down:
			delete(s.up, p.id)
			s.c.peerDown(p.id)
		default:
			peer := s.c.peers[p.id]
			if peer == nil {
				return
			}
			if err := s.c.frame(peer, &reader{b: p.frame}); err != nil {
				s.w.fail("%s cannot read a frame of %s: %v", s.name, from.name, err)
			}
		}
	})
	return true
}

// settle empties all queues and runs all resolvers.
func (w *world) settle() {
	for busy := true; busy; {
		busy = false
		for _, a := range w.nodes {
			for _, b := range w.nodes {
				for a != b && a.step(b) {
					busy = true
				}
			}
			busy = a.runResolver() || busy
		}
	}
}

func (s *simNode) runResolver() bool {
	if len(s.resolving) == 0 || s.frozen {
		return false
	}
	f := s.resolving[0]
	s.resolving = s.resolving[1:]
	s.do(f)
	return true
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	w.unquiet = true
	w.now = w.now.Add(d)
	for _, s := range w.nodes {
		if !s.frozen {
			s.do(s.c.ticked)
		}
	}
}

// The effects of a node.

func (s *simNode) post(to node.ID, frame []byte) {
	if len(frame) > 2*chunkBytes {
		s.w.fail("a frame of %d bytes", len(frame))
	}
	for _, o := range s.w.nodes {
		if o.id == to && s.link[o] != 0 && s.link[o] == s.up[to] {
			o.in[s] = append(o.in[s], packet{conn: s.link[o], id: s.id, frame: slices.Clone(frame)})
		}
	}
}

func (s *simNode) alive(id uint64) bool { return s.procs[id] }
func (s *simNode) watch(id uint64) {
	if s.watched[id] {
		s.w.fail("%s watches %d twice", s.name, id)
	}
	s.watched[id] = true
}
func (s *simNode) unwatch(id uint64) {
	if !s.watched[id] {
		s.w.fail("%s does not watch %d", s.name, id)
	}
	delete(s.watched, id)
}
func (s *simNode) met()            {}
func (s *simNode) doubted(on bool) { s.doubting = on }
func (s *simNode) ignored()        {}

func (s *simNode) changed(before, after *entry, _ Reason) {
	name := ""
	if before != nil {
		name = before.Name
	} else {
		name = after.Name
	}
	if s.seen[name] != before {
		s.w.fail("%s: an event about %s begins with %v, though %v was told", s.name, name, before, s.seen[name])
	}
	if after == nil {
		delete(s.seen, name)
	} else {
		s.seen[name] = after
	}
}

func (s *simNode) resolve(p *peer, own, theirs *entry) {
	s.w.clashes++
	if !s.w.unquiet {
		s.w.fail("a clash of %v and %v in a quiet mesh", own.Entry, theirs.Entry)
	}
	c := Clash{Name: own.Name, Lower: own.Entry, Higher: theirs.Entry}
	d := builtIn(resolverOf(c), c)
	s.resolving = append(s.resolving, func() { s.c.resolved(p, own, theirs, d) })
}

func (s *simNode) lost(e *entry, _ process.PID, d decision) {
	if d.stop {
		s.kill(e.PID.ID)
	}
}

// spawn and kill are about processes.
func (s *simNode) spawn() process.PID {
	s.lastProc++
	s.procs[s.lastProc] = true
	return process.PID{Node: s.name, Incarnation: s.id.Incarnation, ID: s.lastProc}
}

func (s *simNode) kill(id uint64) {
	if !s.procs[id] {
		return
	}
	delete(s.procs, id)
	s.resolving = append(s.resolving, func() { s.c.exit(id) }) // later, as the registry does
}

// asking counts a call and its answer.
func (s *simNode) asking(what string, then func(error)) func(error) {
	s.open++
	life, answered := s.id, false
	return func(err error) {
		if answered {
			s.w.fail("%s: %s was answered twice", s.name, what)
		}
		answered = true
		if s.id == life {
			s.open--
		}
		if then != nil {
			then(err)
		}
	}
}

// check compares all tables once everything is connected and quiet.
func (w *world) check() {
	all := map[string]process.PID{}
	for _, s := range w.nodes {
		c := s.c
		if len(c.asking)+len(c.claims)+len(c.requests)+len(c.reserved)+s.open > 0 {
			w.fail("%s: left over: %d asking, %d claims, %d requests, %v reserved, %d calls", s.name, len(c.asking), len(c.claims), len(c.requests), c.reserved, s.open)
		}
		for name, list := range c.names {
			if len(list) != 1 {
				w.fail("%s: %s has %d candidates", s.name, name, len(list))
			}
			e := list[0]
			if e.claim != nil {
				w.fail("%s: %s is not agreed on", s.name, name)
			}
			if pid, ok := all[name]; ok && pid != e.PID {
				w.fail("%s: %s is %v, elsewhere it is %v", s.name, name, e.PID, pid)
			}
			all[name] = e.PID
			if s.seen[name] != e {
				w.fail("%s: events say that %s is %v", s.name, name, s.seen[name])
			}
		}
		for id, o := range c.procs {
			if !s.procs[id] || o.names.len() == 0 || o.claims != 0 || !s.watched[id] {
				w.fail("%s: process %d is kept: %+v", s.name, id, o)
			}
		}
		if len(s.watched) != len(c.procs) || len(s.seen) != len(c.names) {
			w.fail("%s: %d watched of %d, %d seen of %d", s.name, len(s.watched), len(c.procs), len(s.seen), len(c.names))
		}
		for _, p := range c.list {
			if p.behind || len(p.awaited) > 0 || len(p.dirty) > 0 || !p.synced {
				w.fail("%s: %s is behind", s.name, p.id.Name)
			}
		}
	}
	for name, pid := range all {
		for _, s := range w.nodes {
			if e := s.c.shown(name); e == nil {
				w.fail("%s does not know %s", s.name, name)
			}
			if s.name == pid.Node && (s.id.Incarnation != pid.Incarnation || !s.procs[pid.ID]) {
				w.fail("%s is %v, which is dead", name, pid)
			}
		}
	}
}

// heal mends everything and lets time pass until nobody is behind.
func (w *world) heal() {
	for i, a := range w.nodes {
		a.frozen = false
		for _, b := range w.nodes[i+1:] {
			w.connect(a, b)
		}
	}
	w.settle()
	for range 20 {
		w.pass(simTick / 4)
		w.settle()
	}
}

// TestWorld drives a mesh of cores at random, with links that break, nodes that freeze and restart, and time that
// passes, and demands that they agree in the end: GLOB-39, GLOB-42, GLOB-45.
func TestWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { drive(t, true) })
}

// TestQuietWorld is the same while nothing breaks: then no name is ever held twice (GLOB-05).
func TestQuietWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { drive(t, false) })
}

func drive(t *rapid.T, rough bool) {
	w := newWorld(t.Fatalf, rapid.IntRange(2, 4).Draw(t, "nodes"))
	if !rough {
		w.unquiet = false
	}
	for _, s := range w.nodes {
		s.c.several = true
	}
	names := []string{"x", "y", "z"}
	pick := func(what string) *simNode { return w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(t, what)] }
	pids := []process.PID{w.nodes[0].spawn(), w.nodes[1].spawn()}
	register := func(move bool) func(*rapid.T) {
		return func(t *rapid.T) {
			s, name := pick("node"), rapid.SampledFrom(names).Draw(t, "name")
			if rapid.Bool().Draw(t, "fresh") {
				pids = append(pids, pick("home").spawn())
			}
			pid := rapid.SampledFrom(pids[max(0, len(pids)-4):]).Draw(t, "pid")
			resolver := rapid.SampledFrom([]string{ResolveStop, ResolveNotify, ResolveDrop, ResolveOlder}).Draw(t, "resolver")
			if s.frozen {
				return
			}
			abandon := rough && rapid.IntRange(0, 9).Draw(t, "abandon") == 0
			s.do(func() {
				var v Version
				over := false
				done := s.asking("register", func(error) { over = true })
				cl := s.c.register(Entry{Name: name, PID: pid, Resolver: resolver}, move, &v, done)
				if abandon && cl != nil && !over {
					s.c.abandon(cl)
					s.open--
				}
			})
		}
	}
	actions := map[string]func(*rapid.T){
		"register":   register(false),
		"register2":  register(false),
		"reregister": register(true),
		"unregister": func(t *rapid.T) {
			s, name := pick("node"), rapid.SampledFrom(names).Draw(t, "name")
			if !s.frozen {
				s.do(func() { s.c.unregister(name, s.asking("unregister", nil)) })
			}
		},
		"meta": func(t *rapid.T) {
			s, name := pick("node"), rapid.SampledFrom(names).Draw(t, "name")
			if !s.frozen {
				s.do(func() { s.c.setMeta(name, Meta{"k": name}, s.asking("meta", nil)) })
			}
		},
		"kill": func(t *rapid.T) {
			p := rapid.SampledFrom(pids).Draw(t, "pid")
			for _, s := range w.nodes {
				if s.id == p.NodeID() {
					s.kill(p.ID)
				}
			}
		},
		"step": func(t *rapid.T) {
			for range rapid.IntRange(1, 12).Draw(t, "steps") {
				pick("to").step(pick("from"))
			}
		},
		"resolve": func(t *rapid.T) { pick("node").runResolver() },
		"settle":  func(*rapid.T) { w.settle() },
	}
	if rough {
		actions["cut"] = func(t *rapid.T) {
			if a, b := pick("a"), pick("b"); a != b {
				w.cut(a, b)
			}
		}
		actions["connect"] = func(t *rapid.T) {
			if a, b := pick("a"), pick("b"); a != b {
				w.connect(a, b)
			}
		}
		actions["pass"] = func(t *rapid.T) { w.pass(simTick * time.Duration(rapid.IntRange(1, 8).Draw(t, "quarters")) / 4) }
		actions["freeze"] = func(t *rapid.T) { pick("node").frozen = true; w.unquiet = true }
		actions["thaw"] = func(t *rapid.T) { pick("node").frozen = false }
		actions["restart"] = func(t *rapid.T) {
			s := pick("node")
			for _, o := range w.nodes {
				w.cut(s, o)
				s.in[o] = nil
			}
			s.start()
			s.c.several = true
		}
	}
	t.Repeat(actions)
	w.heal()
	w.check()
}

// TestGLOB05 races for one name in every order that rapid finds, with an arbiter and without.
func TestRaceHasOneWinner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t.Fatalf, 3)
		w.unquiet = false
		won := 0
		for _, s := range w.nodes {
			s.do(func() {
				var v Version
				s.c.register(Entry{Name: "x", PID: s.spawn(), Resolver: ResolveDefault}, false, &v, s.asking("register", func(err error) {
					if err == nil {
						won++
					}
				}))
			})
		}
		for range 60 {
			w.nodes[rapid.IntRange(0, 2).Draw(t, "to")].step(w.nodes[rapid.IntRange(0, 2).Draw(t, "from")])
		}
		w.settle()
		if won != 1 {
			t.Fatalf("%d winners", won)
		}
		w.check()
	})
}
