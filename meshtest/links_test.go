package meshtest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testCookie = []byte("0123456789abcdef0123456789abcdef")

// net2 is two brokers behind proxies, linked.
type net2 struct {
	links  *meshtest.Links
	a, b   *broker.Broker
	events struct {
		mu   sync.Mutex // guards the field below
		seen map[string][]broker.RouteEvent
	}
}

func (n *net2) saw(node string, match func(broker.RouteEvent) bool) bool {
	n.events.mu.Lock()
	defer n.events.mu.Unlock()
	for _, ev := range n.events.seen[node] {
		if match(ev) {
			return true
		}
	}
	return false
}

func newNet2(t *testing.T) *net2 {
	t.Helper()
	n := &net2{links: meshtest.NewLinks()}
	n.events.seen = make(map[string][]broker.RouteEvent)
	t.Cleanup(func() { _ = n.links.Close() })
	n.a = n.start(t, "a")
	n.b = n.start(t, "b", n.a.AdvertisedAddr())
	meshtest.Eventually(t, "link", func() bool { return linked(n.a, "b") && linked(n.b, "a") })
	return n
}

func (n *net2) start(t *testing.T, name string, routes ...string) *broker.Broker {
	t.Helper()
	addr, err := n.links.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	n.links.Label(name, "label-of-"+name)
	b, err := broker.Start(t.Context(), broker.Config{
		Mesh: "test", ServerName: name, Cookie: testCookie, SNI: "label-of-" + name, Advertise: addr, Routes: routes,
		OnRoute: func(ev broker.RouteEvent) {
			n.events.mu.Lock()
			defer n.events.mu.Unlock()
			n.events.seen[name] = append(n.events.seen[name], ev)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := n.links.Serve(name, b.Addr()); err != nil {
		t.Fatal(err)
	}
	return b
}

func linked(b *broker.Broker, name string) bool {
	all, err := b.Routes()
	if err != nil {
		return false
	}
	for _, r := range all {
		if r.ServerName == name && len(r.Accounts) == 2 {
			return true
		}
	}
	return false
}

// talk makes to answer on "x" and returns a function that asks from, and another that counts what arrived.
func talk(t *testing.T, from, to *broker.Broker) (ask func(time.Duration) error, arrived func() int) {
	t.Helper()
	there, err := to.Connect(broker.App)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := there.SubscribeSync("count")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := there.Subscribe("x", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
		t.Fatal(err)
	}
	here, err := from.Connect(broker.App)
	if err != nil {
		t.Fatal(err)
	}
	ask = func(limit time.Duration) error {
		if err := here.Publish("count", nil); err != nil {
			return err
		}
		_, err := here.Request("x", nil, limit)
		return err
	}
	arrived = func() int {
		count, _, err := sub.Pending()
		if err != nil {
			t.Error(err)
		}
		return count
	}
	meshtest.Eventually(t, "first answer", func() bool { return ask(time.Second) == nil })
	return ask, arrived
}

func TestConnectionsBelongToPairs(t *testing.T) {
	n := newNet2(t)
	before := n.links.Bytes("a", "b")
	ask, _ := talk(t, n.a, n.b)
	if err := ask(time.Second); err != nil {
		t.Fatal(err)
	}
	if n.links.Bytes("a", "b") <= before || n.links.Bytes("b", "a") == 0 {
		t.Errorf("bytes %d and %d", n.links.Bytes("a", "b"), n.links.Bytes("b", "a"))
	}
	if n.links.Bytes("a", "c") != 0 {
		t.Error("a pair that never met has bytes")
	}
	if got := n.links.Outsiders(); got != 0 {
		t.Errorf("%d outsiders", got)
	}
}

func TestCutHoldsBytesBackUntilMend(t *testing.T) {
	n := newNet2(t)
	ask, arrived := talk(t, n.a, n.b)
	before := arrived()
	n.links.Cut("b", "a")
	if err := ask(50 * time.Millisecond); !errors.Is(err, nats.ErrTimeout) {
		t.Fatalf("request over a cut link: %v", err)
	}
	if got := arrived(); got != before {
		t.Fatalf("%d messages crossed a cut link", got-before)
	}
	if !linked(n.a, "b") || !linked(n.b, "a") {
		t.Error("a cut closed the route")
	}
	n.links.Mend("a", "b")
	meshtest.Eventually(t, "what waited", func() bool { return arrived() == before+1 })
	if err := ask(5 * time.Second); err != nil {
		t.Errorf("request over a mended link: %v", err)
	}
}

func TestCutOneWay(t *testing.T) {
	n := newNet2(t)
	ask, arrived := talk(t, n.a, n.b)
	before := arrived()
	n.links.CutOneWay("b", "a")
	if err := ask(50 * time.Millisecond); !errors.Is(err, nats.ErrTimeout) {
		t.Fatalf("answer over a cut way: %v", err)
	}
	meshtest.Eventually(t, "the open way", func() bool { return arrived() == before+1 })
	n.links.Mend("a", "b")
	n.links.CutOneWay("a", "b")
	if err := ask(50 * time.Millisecond); !errors.Is(err, nats.ErrTimeout) {
		t.Fatalf("request over a cut way: %v", err)
	}
	if got := arrived(); got != before+1 {
		t.Errorf("%d messages crossed a cut way", got-before-1)
	}
}

func TestBreakResetsAndRefuses(t *testing.T) {
	n := newNet2(t)
	ask, _ := talk(t, n.a, n.b)
	n.links.Break("a", "b")
	down := func(ev broker.RouteEvent) bool { return ev.Kind == broker.RouteDown && ev.ByPeer }
	meshtest.Eventually(t, "down at both", func() bool { return n.saw("a", down) && n.saw("b", down) })
	meshtest.Eventually(t, "no route", func() bool { return !linked(n.a, "b") && !linked(n.b, "a") })
	if _, err := probe(t, n, "label-of-b", 5*time.Second); !errors.Is(err, broker.ErrHungUp) {
		t.Errorf("probe over a broken link: %v", err)
	}
	if _, err := probe(t, n, "label-of-c", 5*time.Second); err != nil {
		t.Errorf("probe by an outsider: %v", err)
	}
	n.links.Mend("a", "b")
	if err := n.b.Redial(n.a.AdvertisedAddr()); err != nil {
		t.Fatal(err)
	}
	meshtest.Eventually(t, "answer after mend", func() bool { return ask(time.Second) == nil })
}

func TestNewConnectionsHangWhileCut(t *testing.T) {
	n := newNet2(t)
	n.links.Cut("a", "b")
	for range 5 {
		if _, err := probe(t, n, "label-of-b", 20*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("probe over a cut link: %v", err)
		}
	}
	// The diallers hung up: nothing may be kept for them, or a long cut would gather connections.
	const standing = 3
	meshtest.Eventually(t, "end of hung connections", func() bool { return meshtest.Wires(n.links) <= standing })
	n.links.Mend("a", "b")
	if found, err := probe(t, n, "label-of-b", 5*time.Second); err != nil || found.ServerName != "a" {
		t.Errorf("probe over a mended link: %+v, %v", found, err)
	}
}

// probe asks a who it is, under the given label.
func probe(t *testing.T, n *net2, label string, limit time.Duration) (broker.Probed, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return broker.Probe(ctx, n.a.AdvertisedAddr(), broker.ProbeConfig{Cookie: testCookie, Mesh: "test", SNI: label})
}

func TestDelayIsAddedEachWayAndKeepsOrder(t *testing.T) {
	n := newNet2(t)
	ask, _ := talk(t, n.a, n.b)
	const delay = 20 * time.Millisecond
	n.links.Delay("a", "b", delay)
	for range 3 {
		began := time.Now()
		if err := ask(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 2*delay {
			t.Errorf("round trip of %v over a delay of %v each way", took, delay)
		}
	}
	there, err := n.b.Connect(broker.App)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *nats.Msg, 1000)
	if _, err := there.ChanSubscribe("n", got); err != nil {
		t.Fatal(err)
	}
	if err := there.Flush(); err != nil {
		t.Fatal(err)
	}
	here, err := n.a.Connect(broker.App)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := here.Request("x", nil, 5*time.Second); err != nil { // the interest came the same way
		t.Fatal(err)
	}
	for i := range cap(got) {
		if i == cap(got)/2 {
			n.links.Delay("a", "b", 0)
		}
		if err := here.Publish("n", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range cap(got) {
		select {
		case m := <-got:
			if string(m.Data) != fmt.Sprint(i) {
				t.Fatalf("message %d came as number %s", i, m.Data)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("message %d did not come", i)
		}
	}
}

func TestACutLinkHoldsBackItsSender(t *testing.T) {
	links := meshtest.NewLinks()
	t.Cleanup(func() { _ = links.Close() })
	sink, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	addr, err := links.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := links.Serve("a", sink.Addr().String()); err != nil {
		t.Fatal(err)
	}
	links.Label("b", "b")
	links.Cut("a", "b")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(helloFrom("b.kith.mesh")); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	const much = 256 << 20
	sent, err := io.CopyN(conn, zeros{}, much)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes went into a cut link, %v", sent, err)
	}
	t.Logf("held back after %d KiB", sent>>10)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// helloFrom returns the first bytes of a TLS client that asks for the name.
func helloFrom(name string) []byte {
	near, far := net.Pipe()
	defer far.Close()
	go func() {
		_ = tls.Client(near, &tls.Config{ServerName: name}).Handshake()
		_ = near.Close()
	}()
	buf := make([]byte, 16<<10)
	n, err := far.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

func TestAClosedNetworkRefuses(t *testing.T) {
	n := newNet2(t)
	for range 2 {
		if err := n.links.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.links.Open("c"); !errors.Is(err, meshtest.ErrClosed) {
		t.Errorf("Open: %v", err)
	}
	if err := n.links.Serve("a", "127.0.0.1:1"); !errors.Is(err, meshtest.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	meshtest.Eventually(t, "end of the routes", func() bool { return n.a.NumRemotes() == 0 && n.b.NumRemotes() == 0 })
}

func TestExpectNamesTheNextUnknownLabel(t *testing.T) {
	n := newNet2(t)
	n.links.Expect("c")
	if _, err := probe(t, n, "first-life-of-c", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	n.links.Break("a", "c")
	if _, err := probe(t, n, "first-life-of-c", 5*time.Second); !errors.Is(err, broker.ErrHungUp) {
		t.Errorf("probe by c over a broken link: %v", err)
	}
	if _, err := probe(t, n, "somebody", 5*time.Second); err != nil {
		t.Errorf("probe by an outsider: %v", err)
	}
	if got := n.links.Outsiders(); got != 1 {
		t.Errorf("%d outsiders, want 1", got)
	}
}
