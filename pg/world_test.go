package pg

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// world is a mesh without a network: nodes, and between each two a queue in each direction that the test empties one
// step at a time. It keeps node's promises and checks what node demands: a broadcast that lists a node which does not
// take the topic would be a gap, and is an error here.
type world struct {
	fail  func(format string, args ...any)
	nodes []*simNode
	conns uint64
}

// simNode is one node: its mesh, its processes and its groups.
type simNode struct {
	w       *world
	id      node.ID
	hidden  bool
	groups  *Groups
	in      map[*simNode][]packet // by sender
	up      map[node.ID]node.Peer // sessions, as this node sees them
	link    map[*simNode]uint64   // connection id of the link, 0 while it is cut
	topics  map[string]bool
	knows   map[*simNode]map[string]bool // topics of others, as this node's broker knows them
	mu      sync.Mutex                   // guards the fields below
	procs   map[uint64]*simProc
	lastID  uint64
	decodes int
	posted  func(to node.ID, frame []byte)                                    // called for each frame of Post, if set
	sending func(ctx context.Context, to node.ID, flags node.SendFlags) error // what keeps Send from sending, if set
	taken   func() uint64                                                     // what a peer has taken in, if set
	refuses string                                                            // the group that this node's rules refuse to others
}

type simProc struct {
	inbox    []any
	watchers map[int]func(error)
}

type packetKind int

const (
	pktUp packetKind = iota
	pktDown
	pktFrame
	pktTopic
)

type packet struct {
	kind  packetKind
	conn  uint64
	data  []byte
	topic string // of a broadcast, or of the news of a subscription
}

func newWorld(fail func(string, ...any), n int, opts ...Option) *world {
	w := &world{fail: fail}
	for i := range n {
		w.add(fmt.Sprintf("n%d", i), opts...)
	}
	return w
}

func (w *world) add(name string, opts ...Option) *simNode {
	s := &simNode{
		w: w, id: node.ID{Name: name, Incarnation: uint64(len(w.nodes) + 100)}, in: map[*simNode][]packet{},
		up: map[node.ID]node.Peer{}, link: map[*simNode]uint64{}, topics: map[string]bool{},
		knows: map[*simNode]map[string]bool{}, procs: map[uint64]*simProc{},
	}
	s.groups = newGroups(context.Background(), s.id, s, s, zerolog.Nop(), append([]Option{TopicFrom(2)}, opts...)...)
	w.nodes = append(w.nodes, s)
	return s
}

func (w *world) close() {
	for _, n := range w.nodes {
		_ = n.groups.Close()
	}
}

// connect links two nodes; the session comes up on each side when it takes the news from its queue.
func (w *world) connect(a, b *simNode) {
	if a.link[b] != 0 {
		return
	}
	w.conns++
	a.link[b], b.link[a] = w.conns, w.conns
	for _, d := range []struct{ from, to *simNode }{{a, b}, {b, a}} {
		d.to.knows[d.from] = map[string]bool{}
		for topic := range d.from.topics {
			d.to.in[d.from] = append(d.to.in[d.from], packet{kind: pktTopic, conn: w.conns, topic: topic})
		}
		d.to.in[d.from] = append(d.to.in[d.from], packet{kind: pktUp, conn: w.conns})
	}
}

// cut loses what is under way.
func (w *world) cut(a, b *simNode) {
	conn := a.link[b]
	if conn == 0 {
		return
	}
	a.link[b], b.link[a] = 0, 0
	for _, d := range []struct{ from, to *simNode }{{a, b}, {b, a}} {
		d.to.knows[d.from] = nil
		kept := slices.DeleteFunc(d.to.in[d.from], func(p packet) bool { return p.conn == conn })
		d.to.in[d.from] = append(kept, packet{kind: pktDown, conn: conn})
	}
}

// step lets one node take one packet of another. It returns false when there is none.
func (s *simNode) step(from *simNode) bool {
	q := s.in[from]
	if len(q) == 0 {
		return false
	}
	p := q[0]
	s.in[from] = q[1:]
	peer := node.Peer{ID: from.id, Conn: p.conn, Hidden: from.hidden || s.hidden}
	switch p.kind {
	case pktUp:
		s.up[from.id] = peer
		s.groups.PeerUp(peer)
	case pktDown:
		if s.up[from.id] == peer {
			delete(s.up, from.id)
			s.groups.PeerDown(peer, node.ReasonConnectionClosed)
		}
	case pktTopic:
		if s.knows[from] != nil {
			s.knows[from][p.topic] = true
		}
	case pktFrame:
		if p.topic != "" && !s.takes(s.topics, p.topic) {
			s.w.fail("gap: %s unsubscribed from %s while a broadcast of %s was under way", s.id.Name, p.topic, from.id.Name)
		}
		s.groups.Frame(peer, p.data)
	}
	return true
}

// settle empties all queues.
func (w *world) settle() {
	for busy := true; busy; {
		busy = false
		for _, a := range w.nodes {
			for _, b := range w.nodes {
				for a != b && a.step(b) {
					busy = true
				}
			}
		}
	}
}

func (s *simNode) takes(topics map[string]bool, topic string) bool {
	for t := range topics {
		if matches(t, topic) {
			return true
		}
	}
	return false
}

func (s *simNode) find(id node.ID) *simNode {
	for _, o := range s.w.nodes {
		if o.id == id {
			return o
		}
	}
	return nil
}

func (s *simNode) put(id node.ID, topic string, parts [][]byte) error {
	peer, ok := s.up[id]
	if !ok {
		return node.ErrNotConnected
	}
	to := s.find(id)
	if s.link[to] != peer.Conn {
		return nil // lost, as on a connection that has just broken
	}
	to.in[s] = append(to.in[s], packet{kind: pktFrame, conn: peer.Conn, data: slices.Concat(parts...), topic: topic})
	return nil
}

// The mesh of a node.

func (s *simNode) Send(ctx context.Context, to node.ID, _ node.Protocol, flags node.SendFlags, parts ...[]byte) error {
	if s.sending != nil {
		if err := s.sending(ctx, to, flags); err != nil {
			return err
		}
	}
	return s.put(to, "", parts)
}

func (s *simNode) Post(to node.ID, _ node.Protocol, parts ...[]byte) error {
	err := s.put(to, "", parts)
	if s.posted != nil {
		s.posted(to, slices.Concat(parts...))
	}
	return err
}

func (s *simNode) Peers() []node.Peer { return slices.Collect(maps.Values(s.up)) }

func (s *simNode) Subscribe(topic string) error {
	if s.topics[topic] {
		s.w.fail("%s subscribes to %s twice", s.id.Name, topic)
	}
	s.topics[topic] = true
	for o, conn := range s.link {
		if conn != 0 {
			o.in[s] = append(o.in[s], packet{kind: pktTopic, conn: conn, topic: topic})
		}
	}
	return nil
}

func (s *simNode) Unsubscribe(topic string) error {
	if !s.topics[topic] {
		s.w.fail("%s unsubscribes from %s, which it does not take", s.id.Name, topic)
	}
	delete(s.topics, topic)
	for _, o := range s.w.nodes { // at once: the worst that can be
		delete(o.knows[s], topic)
		o.in[s] = slices.DeleteFunc(o.in[s], func(p packet) bool { return p.kind == pktTopic && p.topic == topic })
	}
	return nil
}

func (s *simNode) Broadcast(_ context.Context, topic string, _ node.Protocol, to []node.ID, parts ...[]byte) ([]node.ID, error) {
	for _, id := range to {
		peer, ok := s.up[id]
		o := s.find(id)
		if !ok || s.link[o] != peer.Conn {
			continue
		}
		if !s.takes(s.knows[o], topic) {
			s.w.fail("gap: %s broadcasts on %s to %s, whose subscription it does not know", s.id.Name, topic, o.id.Name)
		}
		_ = s.put(id, topic, parts)
	}
	return nil, nil
}

// The processes of a node.

func (s *simNode) spawn() process.PID {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	s.procs[s.lastID] = &simProc{watchers: map[int]func(error){}}
	return pid(s.id, s.lastID)
}

func (s *simNode) kill(p process.PID) {
	s.mu.Lock()
	proc := s.procs[p.ID]
	delete(s.procs, p.ID)
	s.mu.Unlock()
	for _, f := range proc.watchers {
		f(process.ErrKilled)
	}
}

func (s *simNode) Watch(p process.PID, fn func(error)) func() {
	s.mu.Lock()
	proc := s.procs[p.ID]
	if proc == nil {
		s.mu.Unlock()
		fn(process.ErrNoProcess)
		return func() {}
	}
	defer s.mu.Unlock()
	n := len(proc.watchers)
	for proc.watchers[n] != nil {
		n++
	}
	proc.watchers[n] = fn
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(proc.watchers, n)
	}
}

func (s *simNode) Deliver(list []process.PID, msg any) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range list {
		if proc := s.procs[p.ID]; proc != nil && p.NodeID() == s.id {
			proc.inbox = append(proc.inbox, msg)
			n++
		}
	}
	return n
}

func (s *simNode) inbox(p process.PID) []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.procs[p.ID].inbox
}

func (s *simNode) Encode(msg any) ([]byte, error) {
	switch m := msg.(type) {
	case stamp:
		return binary.BigEndian.AppendUint64([]byte(m.from+" "), m.seq), nil
	case string:
		return []byte("s" + m), nil
	}
	return nil, fmt.Errorf("cannot encode %T", msg)
}

func (s *simNode) Decode(data []byte) (any, error) {
	s.decodes++
	if len(data) > 0 && data[0] == 's' {
		return string(data[1:]), nil
	}
	from, seq, ok := strings.Cut(string(data), " ")
	if !ok || len(seq) != 8 {
		return nil, fmt.Errorf("bad message %q", data)
	}
	return stamp{from, binary.BigEndian.Uint64([]byte(seq))}, nil
}

// stamp is a broadcast of a test: who sent it, and the how manieth it is.
type stamp struct {
	from string
	seq  uint64
}

// reader follows a monitor.
type follower struct {
	m    *Monitor
	view map[string]map[process.PID]int
}

func follow(s *Scope) *follower {
	m, all := s.MonitorAll()
	f := &follower{m: m, view: map[string]map[process.PID]int{}}
	for g, list := range all {
		for _, p := range list {
			f.add(g, p, 1)
		}
	}
	return f
}

func (f *follower) add(group string, p process.PID, n int) {
	if f.view[group] == nil {
		f.view[group] = map[process.PID]int{}
	}
	if f.view[group][p] += n; f.view[group][p] == 0 {
		delete(f.view[group], p)
	}
	if len(f.view[group]) == 0 {
		delete(f.view, group)
	}
}

// drain takes all events that are there.
func (f *follower) drain() {
	for {
		waiting := f.m.events.Len()
		select {
		case ev := <-f.m.Events():
			for _, p := range ev.PIDs {
				switch ev.Kind {
				case Joined:
					f.add(ev.Group, p, 1)
				case Left:
					f.add(ev.Group, p, -1)
				}
			}
		case <-time.After(time.Millisecond):
			if waiting == 0 {
				return
			}
		}
	}
}

func counts(list []process.PID) map[process.PID]int {
	m := map[process.PID]int{}
	for _, p := range list {
		m[p]++
	}
	return m
}

func eventually(t interface{ Fatalf(string, ...any) }, what string, ok func() bool) {
	for range 100000 {
		if ok() {
			return
		}
		goruntime.Gosched()
	}
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10 s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// No node of the world leaves, and none is ever full.

func (s *simNode) MaxMessage() int { return 1 << 20 }
func (s *simNode) Taken(node.ID) uint64 {
	if s.taken == nil {
		return 0
	}
	return s.taken()
}

func (s *simNode) Draining(node.ID) bool { return false }
func (s *simNode) Guarded() bool         { return s.refuses != "" }
func (s *simNode) Permit(_ string, _ node.Action, group string) error {
	if group == s.refuses {
		return node.ErrRefused
	}
	return nil
}
