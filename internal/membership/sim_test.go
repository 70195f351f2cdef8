package membership

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// sim is a mesh of tables in virtual time, without goroutines. Around each table stands a small model of its node: a
// control loop, a dispatcher that runs apart from it, and two accounts, each in order and neither in step with the
// other. Links can be cut (what is sent waits), broken (what is under way is gone, and the route with it) and lossy.
type sim struct {
	fail  func(format string, args ...any)
	rand  *rand.Rand
	now   time.Time
	queue events
	seq   int
	names []string
	lives []*life // the present life of each name
	pairs map[[2]int]*pairState
	ids   uint64
	delay time.Duration // greatest delay of a message
	loss  float64
	dup   float64
	mute  bool // nothing passes on the control account
	seals bool // openings of sessions are signed
	trace []string
}

type event struct {
	at  time.Time
	seq int
	f   func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

// pairState is the link between two names, the lesser index first.
type pairState struct {
	routed bool
	broken bool    // no route can come up
	cut    [2]bool // from the lesser to the greater index, and back
	held   [2][]func()
	epoch  int          // what was sent before a break does not arrive
	last   [4]time.Time // by direction and account: order within an account
}

const simStart = 1_700_000_000

func newSim(seed uint64, names int, fail func(string, ...any)) *sim {
	s := &sim{
		fail: fail, rand: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(simStart, 0),
		pairs: map[[2]int]*pairState{}, delay: 5 * time.Millisecond,
	}
	for i := range names {
		s.names = append(s.names, fmt.Sprintf("n%d@h", i))
		s.lives = append(s.lives, nil)
	}
	for i := range names {
		for j := i + 1; j < names; j++ {
			s.pairs[[2]int{i, j}] = &pairState{}
		}
	}
	return s
}

func (s *sim) log(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf("%8.3f ", s.now.Sub(time.Unix(simStart, 0)).Seconds())+fmt.Sprintf(format, args...))
	if len(s.trace) > 400 {
		s.trace = s.trace[200:]
	}
}

func (s *sim) after(d time.Duration, f func()) { s.at(s.now.Add(d), f) }

func (s *sim) at(when time.Time, f func()) {
	s.seq++
	heap.Push(&s.queue, event{when, s.seq, f})
}

// run lets time pass.
func (s *sim) run(d time.Duration) {
	end := s.now.Add(d)
	for len(s.queue) > 0 && !s.queue[0].at.After(end) {
		e := heap.Pop(&s.queue).(event)
		s.now = e.at
		e.f()
	}
	s.now = end
}

// runUntil lets time pass until cond holds, within limit.
func (s *sim) runUntil(limit time.Duration, cond func() bool) bool {
	for end := s.now.Add(limit); ; {
		if cond() {
			return true
		}
		if len(s.queue) == 0 || s.queue[0].at.After(end) {
			s.now = end
			return cond()
		}
		e := heap.Pop(&s.queue).(event)
		s.now = e.at
		e.f()
	}
}

func (s *sim) random(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(s.rand.Int64N(int64(most)))
}

// pair is the link of two names, with the direction from i to j.
func (s *sim) pair(i, j int) (p *pairState, way int) {
	if i < j {
		return s.pairs[[2]int{i, j}], 0
	}
	return s.pairs[[2]int{j, i}], 1
}

// start begins a new life of a name.
func (s *sim) start(i int, edit ...func(*Config)) *life {
	s.ids++
	n := &life{
		s: s, i: i, alive: true, gaveUp: map[ID]bool{}, sessions: map[uint64]*simSession{}, conns: map[uint64]*simSession{},
		up: map[string]*simSession{},
	}
	cfg := Config{
		Self: wire.Info{Name: s.names[i], Incarnation: s.rand.Uint64() | 1, Settled: true}, Interval: time.Second,
		Setup: 7 * time.Second, Window: 1 << 20, Auto: AutoAlways, Jitter: s.rand.Float64,
		NewConn: func() uint64 { s.ids++; return s.ids },
	}
	for _, f := range edit {
		f(&cfg)
	}
	if s.seals {
		cfg.Prover = seal{IDOf(cfg.Self)}
	}
	n.id, n.cfg = IDOf(cfg.Self), cfg
	n.table = New(cfg, n)
	s.lives[i] = n
	s.log("%s starts as %x", n.id.Name, n.id.Incarnation)
	n.control(func() {})
	for j := range s.lives {
		if j != i {
			s.reroute(i, j)
		}
	}
	return n
}

// reroute brings the route of a pair up after a while, if nothing stands against it.
func (s *sim) reroute(i, j int) {
	s.after(s.random(500*time.Millisecond), func() {
		p, _ := s.pair(i, j)
		a, b := s.lives[i], s.lives[j]
		if p.routed || a == nil || b == nil || !a.alive || !b.alive {
			return
		}
		if p.broken || p.cut[0] || p.cut[1] || a.frozen || b.frozen {
			s.reroute(i, j)
			return
		}
		p.routed = true
		s.log("route %d-%d is up", i, j)
		for _, n := range []*life{a, b} {
			other := a
			if n == a {
				other = b
			}
			n.control(func() {
				delete(n.gaveUp, other.id)
				n.table.Seen(s.now, wire.Info{Name: other.id.Name, Incarnation: other.id.Incarnation, Hidden: other.cfg.Self.Hidden})
			})
		}
	})
}

// unroute takes the route of a pair down. byPeer says whether both sides see the other close it.
func (s *sim) unroute(i, j int, byPeer bool) {
	p, _ := s.pair(i, j)
	if !p.routed {
		return
	}
	p.routed = false
	p.epoch++
	p.held = [2][]func(){}
	s.log("route %d-%d is down (by peer: %v)", i, j, byPeer)
	a, b := s.lives[i], s.lives[j]
	for _, n := range []*life{a, b} {
		other := a
		if n == a {
			other = b
		}
		if n != nil && n.alive && other != nil {
			id := other.id
			n.control(func() {
				n.gaveUp[id] = !byPeer
				n.table.Gone(s.now, id, byPeer)
			})
		}
	}
	s.reroute(i, j)
}

// kill ends a life without a word: its connections close.
func (s *sim) kill(i int) {
	n := s.lives[i]
	if n == nil || !n.alive {
		return
	}
	s.log("%s is killed", n.id.Name)
	n.alive = false
	for j := range s.lives {
		if j != i {
			s.unroute(i, j, true)
		}
	}
}

func (s *sim) cut(i, j int) {
	p, _ := s.pair(i, j)
	p.cut = [2]bool{true, true}
	s.log("cut %d-%d", i, j)
}

// mend opens a link; what waited arrives.
func (s *sim) mend(i, j int) {
	p, _ := s.pair(i, j)
	p.broken = false
	for way := range p.cut {
		p.cut[way] = false
		held := p.held[way]
		p.held[way] = nil
		for _, f := range held {
			f()
		}
	}
}

// send carries a message from one life to another, or says that nobody is there.
func (s *sim) send(from *life, to ID, account int, reply bool, deliver func(n *life)) {
	j := s.index(to.Name)
	if j < 0 || j == from.i {
		return
	}
	p, way := s.pair(from.i, j)
	target := s.lives[j]
	if !p.routed || target == nil || target.id != to {
		if reply {
			s.after(100*time.Microsecond, func() { from.control(func() { from.nobody(to) }) })
		}
		return
	}
	if s.rand.Float64() < s.loss || s.mute && account == control {
		return
	}
	copies := 1
	if account == control && s.rand.Float64() < s.dup {
		copies = 2
	}
	epoch := p.epoch
	for range copies {
		transmit := func() {
			at := s.now.Add(s.random(s.delay))
			if last := p.last[2*way+account]; at.Before(last) {
				at = last
			}
			p.last[2*way+account] = at
			s.at(at, func() {
				if p.epoch == epoch && target.alive {
					deliver(target)
				}
			})
		}
		if p.cut[way] {
			p.held[way] = append(p.held[way], transmit)
		} else {
			transmit()
		}
	}
}

func (s *sim) index(name string) int {
	for i, n := range s.names {
		if n == name {
			return i
		}
	}
	return -1
}

// full says whether all pairs of living visible nodes have a session, the same on both sides.
func (s *sim) full() bool { return s.missing() == "" }

func (s *sim) missing() string {
	for i, a := range s.lives {
		for _, b := range s.lives[i+1:] {
			if a == nil || b == nil || !a.alive || !b.alive || a.cfg.Self.Hidden || b.cfg.Self.Hidden {
				continue
			}
			x, y := a.up[b.id.Name], b.up[a.id.Name]
			if x == nil || y == nil || x.conn != y.conn || x.peer != b.id || y.peer != a.id {
				return fmt.Sprintf("%s sees %s, %s sees %s", a.id.Name, x, b.id.Name, y)
			}
		}
	}
	return ""
}
