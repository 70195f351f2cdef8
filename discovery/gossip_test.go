package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeNetwork is a network on which every socket hears every other and itself.
type fakeNetwork struct {
	mu      sync.Mutex // guards the fields below
	sockets []*fakeSocket
	sent    int
	fail    error // of send
	changed bool  // interfaces
}

type fakeSocket struct {
	net  *fakeNetwork
	in   chan []byte
	done chan struct{}
	once sync.Once
}

func (n *fakeNetwork) open(context.Context, Self) (gossipSocket, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &fakeSocket{net: n, in: make(chan []byte, 10000), done: make(chan struct{})}
	n.sockets = append(n.sockets, s)
	return s, nil
}

func (n *fakeNetwork) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (s *fakeSocket) send(b []byte) error {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	if s.net.fail != nil {
		return s.net.fail
	}
	s.net.sent++
	for _, to := range s.net.sockets {
		select {
		case <-to.done:
		case to.in <- append([]byte(nil), b...):
		}
	}
	return nil
}

func (s *fakeSocket) receive(b []byte) (int, netip.Addr, error) {
	select {
	case <-s.done:
		return 0, netip.Addr{}, io.ErrClosedPipe
	case data := <-s.in:
		return copy(b, data), netip.MustParseAddr("10.0.0.1"), nil
	}
}

func (s *fakeSocket) stale() bool {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	was := s.net.changed
	s.net.changed = false
	return was
}

func (s *fakeSocket) close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

// gossiper runs gossip for a node on the network.
func (n *fakeNetwork) gossiper(t *testing.T, self Self) (*GossipStrategy, *running) {
	t.Helper()
	g := Gossip(GossipConfig{})
	g.open = n.open
	return g, run(t, g, self)
}

func nodeSelf(i int) Self {
	s := peerSelf(fmt.Sprintf("n%d@h", i))
	s.Addr = fmt.Sprintf("10.0.0.1:400%d", i)
	return s
}

func TestGossip_nodes_find_each_other(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNetwork{}
		_, a := n.gossiper(t, nodeSelf(1))
		a.expect(t, 0)
		time.Sleep(time.Minute)
		a.expectNothing(t, 0)
		if n.sent < 15 || n.sent > 30 {
			t.Errorf("%d announcements in a minute", n.sent)
		}

		_, b := n.gossiper(t, nodeSelf(2))
		time.Sleep(gossipQuiet + gossipAnswer) // the newcomer is heard at once, and answered
		a.expect(t, 0, "10.0.0.1:4002")
		b.expect(t, 0, "10.0.0.1:4001")

		b.stop() // as if it were killed
		time.Sleep(gossipExpiry + gossipCheck)
		a.expect(t, 0)
		a.stop()
	})
}

func TestGossip_fifty_at_once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNetwork{}
		var all []*running
		for i := range 50 {
			s := peerSelf(fmt.Sprintf("n%d@h", i))
			s.Addr = fmt.Sprintf("10.0.0.1:%d", 4000+i)
			_, r := n.gossiper(t, s)
			all = append(all, r)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for i, r := range all {
			lists, errs := r.drain()
			if last := lists[len(lists)-1]; len(last) != 49 || len(errs) != 0 {
				t.Errorf("node %d knows %d, failures %v", i, len(last), errs)
			}
		}
		if n.sent > 50*5 {
			t.Errorf("%d announcements in the first second", n.sent)
		}
		for _, r := range all {
			r.stop()
		}
	})
}

func TestGossip_other_cookie_is_reported_rarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNetwork{}
		g, a := n.gossiper(t, nodeSelf(1))
		stranger := nodeSelf(2)
		stranger.Cookies = func() [][]byte { return [][]byte{[]byte("another cookie of 16 bytes")} }
		_, b := n.gossiper(t, stranger)
		neighbour := nodeSelf(3)
		neighbour.Mesh, neighbour.Cookies = "other", stranger.Cookies
		_, c := n.gossiper(t, neighbour)
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		lists, errs := a.drain()
		if len(lists) != 1 || len(lists[0]) != 0 {
			t.Errorf("lists %v", lists)
		}
		if len(errs) < 9 || len(errs) > 11 || !errors.Is(errs[0], errGossipSignature) {
			t.Errorf("%d failures in 10 minutes, such as %v", len(errs), errs[0])
		}
		st := g.Stats()
		if st.BadSignature < 100 || st.Accepted != 0 || st.Other < 100 || st.Sent == 0 ||
			st.Received != st.BadSignature+st.BadClock+st.Replayed+st.Other {
			t.Errorf("stats %+v", st)
		}
		a.stop()
		b.stop()
		c.stop()
	})
}

func TestGossip_network_that_fails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNetwork{fail: errors.New("network is unreachable")}
		_, a := n.gossiper(t, nodeSelf(1))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		lists, errs := a.drain()
		if len(lists) != 1 || len(errs) < 8 || len(errs) > 25 {
			t.Errorf("%d lists, %d failures", len(lists), len(errs))
		}
		n.set(func() { n.fail = nil })
		_, b := n.gossiper(t, nodeSelf(2))
		time.Sleep(2 * time.Minute)
		a.expect(t, 0, "10.0.0.1:4002")
		n.set(func() { n.changed = true }) // opened again without a word
		time.Sleep(gossipCheck)
		a.expectNothing(t, 0)
		time.Sleep(time.Minute)
		a.expectNothing(t, 0)
		if len(n.sockets) < 3 {
			t.Error("the socket was not opened again")
		}
		a.stop()
		b.stop()
	})
}

func TestGossip_bad_config(t *testing.T) {
	self := peerSelf("a@h")
	nobody := self
	nobody.Cookies = nil
	long := self
	long.Name = strings.Repeat("x", 300)
	for name, tt := range map[string]struct {
		cfg  GossipConfig
		self Self
	}{
		"group":     {GossipConfig{Group: "10.0.0.1:4"}, self},
		"ttl":       {GossipConfig{TTL: 256}, self},
		"no_secret": {GossipConfig{}, nobody},
		"long_name": {GossipConfig{}, long},
	} {
		t.Run(name, func(t *testing.T) {
			err := Gossip(tt.cfg).Run(context.Background(), tt.self, func([]Candidate) {}, func(error) {})
			if !errors.Is(err, ErrBadConfig) {
				t.Fatalf("err = %v", err)
			}
		})
	}
}

// TestGossip_loopback sends real multicast, which never leaves the loopback interface.
func TestGossip_loopback(t *testing.T) {
	gossipThree(t, net.JoinHostPort(DefaultGroup, freeUDPPort(t)), "127.0.0.1")
}

// gossipThree runs three nodes of one host in a group of the real network, until they know each other.
func gossipThree(t *testing.T, group, host string) {
	t.Helper()
	var all []*running
	var addrs []string
	for i := range 3 {
		s := nodeSelf(i)
		s.Addr = net.JoinHostPort(host, fmt.Sprint(4000+i))
		addrs = append(addrs, s.Addr)
		all = append(all, run(t, Gossip(GossipConfig{Group: group}), s))
	}
	all[0].await(t, addrs[1], addrs[2])
	all[1].await(t, addrs[0], addrs[2])
	all[2].await(t, addrs[0], addrs[1])
}

func freeUDPPort(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, port, _ := net.SplitHostPort(c.LocalAddr().String())
	return port
}

func TestChooseInterfaces(t *testing.T) {
	local, err := chooseInterfaces(nil, "127.0.0.1:4000")
	if err != nil {
		t.Fatal(err)
	}
	for _, ifi := range local {
		if ifi.Flags&net.FlagLoopback == 0 {
			t.Errorf("%s for a node on loopback", ifi.Name)
		}
	}
	if wide, err := chooseInterfaces(nil, "0.0.0.0:4000"); err == nil {
		for _, ifi := range wide {
			if ifi.Flags&net.FlagLoopback != 0 {
				t.Errorf("%s for a node that others reach", ifi.Name)
			}
		}
	}
	if named, err := chooseInterfaces([]string{local[0].Name}, "0.0.0.0:1"); err != nil || len(named) != 1 {
		t.Errorf("by name: %v, %v", named, err)
	}
	if _, err := chooseInterfaces([]string{"no-such-interface"}, ""); err == nil {
		t.Error("no error for an interface that is not there")
	}
}

// TestGossip_leaving takes a node that drains from the candidates of others at once, and keeps it out though it goes on
// listening.
func TestGossip_leaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNetwork{}
		draining := make(chan struct{})
		leaver := nodeSelf(2)
		leaver.Draining = draining
		_, a := n.gossiper(t, nodeSelf(1))
		_, b := n.gossiper(t, leaver)
		time.Sleep(2 * time.Second)
		a.expect(t, 0, "10.0.0.1:4002")
		b.expect(t, 0, "10.0.0.1:4001")
		close(draining)
		synctest.Wait()
		a.expect(t, 0)
		_, c := n.gossiper(t, nodeSelf(3)) // who comes now does not hear of it
		time.Sleep(time.Minute)
		a.expect(t, 0, "10.0.0.1:4003")
		c.expect(t, 0, "10.0.0.1:4001")
		b.stop()
		c.stop()
		a.stop()
	})
}

// TestGossip_secrets changes the secret of two nodes, one after the other, which know both meanwhile.
func TestGossip_secrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNetwork{}
		var mu sync.Mutex // guards secrets
		secrets := [][][]byte{{[]byte("the older one")}, {[]byte("the older one")}}
		self := func(i int) Self {
			s := nodeSelf(i)
			s.Cookies = func() [][]byte {
				mu.Lock()
				defer mu.Unlock()
				return secrets[i-1]
			}
			return s
		}
		set := func(i int, list ...string) {
			mu.Lock()
			defer mu.Unlock()
			secrets[i-1] = nil
			for _, s := range list {
				secrets[i-1] = append(secrets[i-1], []byte(s))
			}
		}
		ga, a := n.gossiper(t, self(1))
		gb, b := n.gossiper(t, self(2))
		time.Sleep(2 * time.Second)
		a.expect(t, 0, "10.0.0.1:4002")
		b.expect(t, 0, "10.0.0.1:4001")
		for _, step := range [][]string{{"the older one", "the newer one"}, {"the newer one", "the older one"}, {"the newer one"}} {
			for i := range 2 {
				set(i+1, step...)
				time.Sleep(2 * gossipExpiry)
			}
		}
		a.expectNothing(t, 0)
		b.expectNothing(t, 0)
		if bad := ga.Stats().BadSignature + gb.Stats().BadSignature; bad != 0 {
			t.Errorf("%d announcements were refused", bad)
		}
		a.stop()
		b.stop()
	})
}
