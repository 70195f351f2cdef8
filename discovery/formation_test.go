package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/discovery"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

// start runs a node that finds others by these strategies alone.
func start(t *testing.T, name string, strategies ...discovery.Strategy) *node.Node {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if strategies == nil {
		strategies = []discovery.Strategy{}
	}
	n, err := node.Start(ctx, node.Config{
		Name: name + "@127.0.0.1", Cookie: []byte("0123456789abcdef"), Listen: "127.0.0.1:0", Discovery: strategies,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// meet waits until each node has a session with each other.
func meet(t *testing.T, nodes ...*node.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, n := range nodes {
		if err := n.WaitPeers(ctx, len(nodes)-1); err != nil {
			t.Fatalf("%s sees %v: %v", n.Name(), n.Nodes(), err)
		}
	}
}

// answers is DNS as a test has it.
type answers struct {
	mu      sync.Mutex // guards the fields below
	ips     []netip.Addr
	records []*net.SRV
	err     error
	asked   int
}

func (a *answers) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	return a.ips, a.err
}

func (a *answers) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	return "", a.records, a.err
}

func (a *answers) set(ips []netip.Addr, records []*net.SRV, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ips, a.records, a.err, a.asked = ips, records, err, 0
}

// awaitAsked waits for n questions since the last set.
func (a *answers) awaitAsked(t *testing.T, n int) {
	t.Helper()
	meshtest.Eventually(t, fmt.Sprintf("%d questions", n), func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.asked >= n
	}, 10*time.Second)
}

func port(t *testing.T, n *node.Node) int {
	t.Helper()
	_, p, err := net.SplitHostPort(n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	num, err := strconv.Atoi(p)
	if err != nil {
		t.Fatal(err)
	}
	return num
}

func TestFormation(t *testing.T) {
	t.Run("static", func(t *testing.T) {
		a := start(t, "a")
		meet(t, a, start(t, "b", discovery.Static(a.Addr())))
	})
	t.Run("gossip", func(t *testing.T) {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, p, _ := net.SplitHostPort(c.LocalAddr().String())
		_ = c.Close()
		gossip := func() discovery.Strategy {
			return discovery.Gossip(discovery.GossipConfig{Group: net.JoinHostPort(discovery.DefaultGroup, p)})
		}
		meet(t, start(t, "a", gossip()), start(t, "b", gossip()), start(t, "c", gossip()))
	})
	t.Run("hosts", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "hosts")
		// The file comes after the node: its absence is no more than a report.
		b := start(t, "b", discovery.Hosts(discovery.HostsConfig{Path: path, Interval: 50 * time.Millisecond}))
		a := start(t, "a")
		if err := os.WriteFile(path, []byte("127.0.0.1:"+strconv.Itoa(port(t, a))+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		meet(t, a, b)
	})
	t.Run("dns", func(t *testing.T) {
		a := start(t, "a")
		dns := &answers{err: errors.New("server misbehaving")}
		s := discovery.DNS(discovery.DNSConfig{
			Name: "mesh.example", Port: port(t, a), Interval: 20 * time.Millisecond, Resolver: dns,
		})
		b := start(t, "b", s)
		dns.set([]netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil, nil)
		meet(t, a, b)

		// Neither an empty answer, nor a failure, nor another address cuts the link.
		m := b.Monitor()
		defer m.Close()
		dns.set(nil, nil, nil)
		dns.awaitAsked(t, 3)
		dns.set(nil, nil, errors.New("server misbehaving"))
		dns.awaitAsked(t, 3)
		dns.set([]netip.Addr{netip.MustParseAddr("127.0.0.9")}, nil, nil)
		dns.awaitAsked(t, 3)
		meet(t, a, b)
		for {
			select {
			case ev := <-m.Events():
				// The nodeup of the link that stands may come late.
				if !ev.Up {
					t.Errorf("the link was cut: %+v", ev)
				}
				continue
			default:
			}
			break
		}
	})
	t.Run("dnssrv", func(t *testing.T) {
		a := start(t, "a")
		dns := &answers{records: []*net.SRV{{Target: "localhost.", Port: uint16(port(t, a))}}}
		s := discovery.DNSSRV(discovery.DNSConfig{Name: "_kith._tcp.example", Interval: 20 * time.Millisecond, Resolver: dns})
		meet(t, a, start(t, "b", s))
	})
	t.Run("merged_with_one_that_cannot_work", func(t *testing.T) {
		a := start(t, "a")
		meet(t, a, start(t, "b", discovery.Merge(discovery.Static("nonsense"), discovery.Static(a.Addr()))))
	})
}
