package meshtest

import (
	"net"
	"sync"
	"sync/atomic"
)

const (
	// chunkSize and queueLength bound what one direction of a connection holds back while it is cut or delayed: 4 MiB.
	// Beyond, the sender's writes block.
	chunkSize   = 32 << 10
	queueLength = 128
)

// proxy accepts connections for one node.
type proxy struct {
	links    *Links
	name     string
	listener net.Listener
	served   chan struct{} // closed once target is known

	target string // guarded by Links.mu
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) run() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed: nothing else ends a loopback listener
		}
		w := &wire{proxy: p, near: conn, done: make(chan struct{}), bothEnded: make(chan struct{})}
		if !p.links.admit(w) {
			w.reset()
			return
		}
		p.links.running.Go(w.run)
	}
}

func (l *Links) admit(w *wire) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.wires[w] = struct{}{}
	return true
}

// wire is one connection through a proxy: near is the dialler's end, far the node's.
type wire struct {
	proxy *proxy
	near  net.Conn
	pair  pair // guarded by Links.mu; zero until the dialler has said who it is

	sources   atomic.Int32  // that have ended
	bothEnded chan struct{} // closed when both have
	done      chan struct{} // closed when the wire is to end at once

	mu    sync.Mutex // guards the fields below
	far   net.Conn
	ended bool
}

// run carries the wire from its hello to its end.
func (w *wire) run() {
	l := w.proxy.links
	defer func() {
		w.finish(false)
		l.mu.Lock()
		delete(l.wires, w)
		l.mu.Unlock()
	}()
	label, hello, err := peekDialler(w.near)
	if err != nil {
		return
	}
	there, back, ok := l.assign(w, l.dialler(label))
	if !ok {
		w.reset()
		return
	}
	var flows sync.WaitGroup
	defer flows.Wait()
	forth := newFlow(w, there)
	flows.Go(func() { forth.read(w.near, hello) })
	if !forth.awaitFirst() || !w.dial() {
		w.reset()
		return
	}
	home := newFlow(w, back)
	flows.Go(func() { home.read(w.far, nil) })
	flows.Go(func() { home.write(w.near) })
	forth.write(w.far)
}

// assign finds the ways of the wire's pair: from the dialler to the node, and back. It reports false if the pair is
// broken.
func (l *Links) assign(w *wire, dialler string) (there, back *way, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if dialler == "" {
		return newWay(), newWay(), true
	}
	node := w.proxy.name
	w.pair = pairOf(dialler, node)
	k := l.link(w.pair)
	return k.way(w.pair, dialler), k.way(w.pair, node), !k.broken
}

// dial connects to the node, once it is known where that is.
func (w *wire) dial() bool {
	select {
	case <-w.proxy.served:
	case <-w.done:
		return false
	}
	l := w.proxy.links
	l.mu.Lock()
	target := w.proxy.target
	l.mu.Unlock()
	far, err := net.Dial("tcp", target) //nolint:noctx // loopback: it answers or refuses at once
	if err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		_ = far.Close()
		return false
	}
	w.far = far
	return true
}

func (w *wire) sourceEnded() {
	if w.sources.Add(1) == 2 {
		close(w.bothEnded)
	}
}

// reset ends the wire at once, so that both ends see a reset.
func (w *wire) reset() { w.finish(true) }

// finish closes both ends, once. What was written to them is still delivered unless it is abrupt.
func (w *wire) finish(abrupt bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.ended = true
	close(w.done)
	for _, conn := range []net.Conn{w.near, w.far} {
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			continue
		}
		if abrupt {
			_ = tcp.SetLinger(0)
		}
		_ = tcp.Close()
	}
}
