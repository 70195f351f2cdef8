package meshtest

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is returned by calls on a closed Links or Mesh.
var ErrClosed = errors.New("test network is closed")

// Links is a network of TCP links between nodes of one test process. Each node has a proxy in front of its cluster
// listener, whose address it advertises. The proxy reads from the TLS hello who dials (see broker.Config.SNI), so that
// every connection belongs to a pair of nodes, whichever of the two dialled, and each pair can be cut, broken, delayed
// and mended by itself.
//
// A connection whose label is unknown passes, and belongs to no pair; Outsiders counts them. All methods may be called
// concurrently. Those that change a pair take two names in any order and do not wait for traffic.
type Links struct {
	mu        sync.Mutex // guards the fields below
	proxies   map[string]*proxy
	names     map[string]string // who dials, by label
	expected  string            // whose label the next unknown one is
	links     map[pair]*link
	wires     map[*wire]struct{}
	outsiders int
	closed    bool

	done    chan struct{}
	running sync.WaitGroup
}

// NewLinks returns a network without nodes. Close it.
func NewLinks() *Links {
	return &Links{
		proxies: make(map[string]*proxy), names: make(map[string]string), links: make(map[pair]*link),
		wires: make(map[*wire]struct{}), done: make(chan struct{}),
	}
}

// pair names two nodes, the lesser name first.
type pair struct{ a, b string }

func pairOf(a, b string) pair {
	if a > b {
		a, b = b, a
	}
	return pair{a, b}
}

// link is the state of one pair. Links.mu guards all of it but what ways guard themselves.
type link struct {
	broken bool
	ways   [2]*way // from pair.a to pair.b, and back
}

func (l *link) way(p pair, from string) *way {
	if from == p.a {
		return l.ways[0]
	}
	return l.ways[1]
}

// way is one direction of a link.
type way struct {
	mu    sync.Mutex // guards the fields below
	open  chan struct{}
	isCut bool
	delay time.Duration

	bytes atomic.Int64 // delivered
}

func newWay() *way {
	w := &way{open: make(chan struct{})}
	close(w.open)
	return w
}

// gate returns a channel that is closed while bytes may pass.
func (w *way) gate() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open
}

func (w *way) setCut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case cut && !w.isCut:
		w.open = make(chan struct{})
	case !cut && w.isCut:
		close(w.open)
	}
	w.isCut = cut
}

func (w *way) setDelay(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = d
}

func (w *way) currentDelay() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.delay
}

// link returns the state of a pair, made on first use. The caller holds l.mu.
func (l *Links) link(p pair) *link {
	k := l.links[p]
	if k == nil {
		k = &link{ways: [2]*way{newWay(), newWay()}}
		l.links[p] = k
	}
	return k
}

// Open puts a proxy in front of the node called name and returns its HOST:PORT, which the node must advertise. Until
// Serve says where the node listens, connections to it wait. Opening a name again returns the same address.
func (l *Links) Open(name string) (addr string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return "", ErrClosed
	}
	if p := l.proxies[name]; p != nil {
		return p.addr(), nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("proxy of %s: %w", name, err)
	}
	p := &proxy{links: l, name: name, listener: listener, served: make(chan struct{})}
	l.proxies[name] = p
	l.running.Go(p.run)
	return p.addr(), nil
}

// Serve says that the node called name listens on target, HOST:PORT, from now on. It may be called again when the node
// was restarted elsewhere. Connections that stand are left alone. A name that was not opened is ErrClosed.
func (l *Links) Serve(name, target string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.proxies[name]
	if p == nil || l.closed {
		return fmt.Errorf("%w: no proxy of %s", ErrClosed, name)
	}
	if p.target == "" {
		close(p.served)
	}
	p.target = target
	return nil
}

// Label says that whoever dials with the server name label.kith.mesh is the node called name. A node may have several
// labels: one for each of its lives.
func (l *Links) Label(name, label string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names[label] = name
}

// Expect says that the next unknown label is that of the node called name, which is about to start and whose label is
// not known before it dials. Only one node can be expected at a time; an empty name ends the expectation.
func (l *Links) Expect(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expected = name
}

// dialler returns who dials with a label, or "" for an outsider.
func (l *Links) dialler(label string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := l.names[label]
	if name == "" && label != "" && l.expected != "" {
		name, l.expected = l.expected, ""
		l.names[label] = name
	}
	if name == "" {
		l.outsiders++
	}
	return name
}

// Cut stops all bytes between two nodes, as a pulled cable does: sockets stay open, what is under way waits, new
// connections get no answer. Bytes sent after Cut has returned do not arrive before Mend.
func (l *Links) Cut(a, b string) {
	l.CutOneWay(a, b)
	l.CutOneWay(b, a)
}

// CutOneWay stops the bytes from one node to another, and not those on the way back.
func (l *Links) CutOneWay(from, to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := pairOf(from, to)
	l.link(p).way(p, from).setCut(true)
}

// Break resets all connections between two nodes, and new ones as soon as they have said who dials.
func (l *Links) Break(a, b string) {
	p := pairOf(a, b)
	l.mu.Lock()
	l.link(p).broken = true
	var hit []*wire
	for w := range l.wires {
		if w.pair == p {
			hit = append(hit, w)
		}
	}
	l.mu.Unlock()
	for _, w := range hit {
		w.reset()
	}
}

// Mend takes back Cut, CutOneWay and Break. Connections that stood through a cut go on where they were. A delay stays.
func (l *Links) Mend(a, b string) {
	p := pairOf(a, b)
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.link(p)
	k.broken = false
	for _, w := range k.ways {
		w.setCut(false)
	}
}

// Delay makes bytes take d longer each way between two nodes, in order, from now on; zero takes the delay back. Up to
// 4 MiB are under way at once in each direction of a connection, which bounds its throughput to that much in d.
func (l *Links) Delay(a, b string, d time.Duration) {
	p := pairOf(a, b)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.link(p).ways {
		w.setDelay(d)
	}
}

// Bytes returns how many bytes have been delivered from one node to another.
func (l *Links) Bytes(from, to string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := pairOf(from, to)
	return l.link(p).way(p, from).bytes.Load()
}

// Outsiders returns how many connections belonged to no pair, since nobody knew their label.
func (l *Links) Outsiders() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outsiders
}

// Close ends every proxy and connection and waits until they have ended. It may be called again.
func (l *Links) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.done)
		for _, p := range l.proxies {
			_ = p.listener.Close()
		}
		for w := range l.wires {
			w.reset()
		}
	}
	l.mu.Unlock()
	l.running.Wait()
	return nil
}
