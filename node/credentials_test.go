package node_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

var (
	cookieB = []byte("the default cookie of b, and of no other")
	shared  = []byte("a cookie that two nodes have for each other")
)

func cookies(own []byte, peers map[string][]byte) func(*node.Config) {
	return func(c *node.Config) { c.Cookie, c.PeerCookies = own, peers }
}

// TestPeerCookies has two nodes with different cookies connect by one that is for them alone, whoever dials.
func TestPeerCookies(t *testing.T) {
	const a, b = "a@127.0.0.1", "b@127.0.0.1"
	rows := []struct {
		title    string
		atA, atB map[string][]byte
	}{
		{"NET-04_the_default_of_the_other", map[string][]byte{b: cookieB}, nil},
		{"NET-05_one_for_the_pair", map[string][]byte{b: shared}, map[string][]byte{a: shared}},
	}
	for _, row := range rows {
		for _, dialler := range []string{"a", "b"} {
			t.Run(row.title+"/"+dialler+"_dials", func(t *testing.T) {
				var x, y *node.Node
				if dialler == "b" {
					x = start(t, "a", cookies(testCookie, row.atA))
					y = start(t, "b", cookies(cookieB, row.atB), joining(x))
				} else {
					y = start(t, "b", cookies(cookieB, row.atB))
					x = start(t, "a", cookies(testCookie, row.atA), joining(y))
				}
				connected(t, x, y)
				// The defaults are what they were: each still finds those of its own, and nobody else.
				connected(t, x, start(t, "c", joining(x)))
				d := start(t, "d", joining(x), cookies(cookieB, nil))
				meshtest.Eventually(t, "a refusal", func() bool { return len(d.Report().Refusals) > 0 })
			})
		}
	}
	t.Run("at_run_time", func(t *testing.T) {
		x := start(t, "a")
		y := start(t, "b", cookies(cookieB, nil), joining(x))
		meshtest.Eventually(t, "a refusal", func() bool { return len(y.Report().Refusals) > 0 })
		if err := x.SetPeerCookie(b, shared); err != nil {
			t.Fatal(err)
		}
		if err := y.SetPeerCookie(a, shared); err != nil {
			t.Fatal(err)
		}
		connected(t, x, y)
		// Taken back, it opens nothing any more, and cuts nothing.
		if err := x.SetPeerCookie(b, nil); err != nil {
			t.Fatal(err)
		}
		if !same(x, y) {
			t.Error("the session is gone")
		}
	})
	t.Run("refuses", func(t *testing.T) {
		n := start(t, "a")
		if err := n.SetPeerCookie("nobody", shared); !errors.Is(err, node.ErrBadName) {
			t.Errorf("a bad name: %v", err)
		}
		if err := n.SetPeerCookie(b, []byte("short")); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("a short cookie: %v", err)
		}
		if err := n.SetCookie(nil); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("no cookie: %v", err)
		}
		if err := n.SetCertificate(meshtest.NewAuthority(t).Issue(a)); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("a certificate: %v", err)
		}
		if _, err := tryStart(t, "x", cookies(testCookie, map[string][]byte{"nobody": shared})); !errors.Is(err, node.ErrBadName) {
			t.Errorf("start with a bad name: %v", err)
		}
		_ = n.Close()
		if err := n.SetCookie(shared); !errors.Is(err, node.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// TestRotation changes the cookie of three nodes that talk all the while: nothing is lost, no session ends, and who has
// only the old cookie is a stranger afterwards.
func TestRotation(t *testing.T) {
	m := meshtest.New(t, 3)
	old, fresh := []byte("meshtest: not a secret, for loopback"), []byte("the cookie that is to replace it")
	nodes := m.Nodes()
	var sent, got [3]atomic.Int64
	for i, n := range nodes {
		if err := n.Handle(user, tally{&got[i]}); err != nil {
			t.Fatal(err)
		}
	}
	monitors := make([]*events, len(nodes))
	for i, n := range nodes {
		monitors[i] = watch(t, n)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var traffic sync.WaitGroup
	for i, n := range nodes {
		to := (i + 1) % len(nodes)
		traffic.Go(func() {
			for ctx.Err() == nil {
				if err := n.Send(t.Context(), nodes[to].ID(), user, 0, []byte("x")); err != nil {
					t.Errorf("%s to %s: %v", n.Name(), nodes[to].Name(), err)
					return
				}
				sent[to].Add(1)
			}
		})
	}
	flowing := func(step string) {
		t.Helper()
		before := got[0].Load()
		meshtest.Eventually(t, "traffic "+step, func() bool { return got[0].Load() > before })
	}
	for step, change := range []func(*node.Node) error{
		func(n *node.Node) error { return n.SetCookie(old, fresh) },
		func(n *node.Node) error { return n.SetCookie(fresh, old) },
		func(n *node.Node) error { return n.SetCookie(fresh) },
	} {
		for i, n := range nodes {
			flowing(fmt.Sprintf("at step %d", step))
			if err := change(n); err != nil {
				t.Fatal(err)
			}
			if i > 0 {
				continue
			}
			// The nodes are of two minds now: one that comes, and knows both cookies as they do, finds all of them.
			guest := start(t, fmt.Sprint("guest", step), joining(nodes[1]), func(c *node.Config) {
				c.Mesh, c.Cookie, c.AcceptCookies = "meshtest", old, [][]byte{fresh}
				if step == 2 {
					c.Cookie, c.AcceptCookies = fresh, [][]byte{old}
				}
			})
			for _, n := range nodes {
				connected(t, guest, n)
			}
			if err := guest.Shutdown(within(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
	flowing("at the end")
	stop()
	traffic.Wait()
	for i := range nodes {
		meshtest.Eventually(t, "all that was sent", func() bool { return got[i].Load() == sent[i].Load() })
	}
	for i, m := range monitors {
		for _, e := range m.all() {
			if !strings.HasPrefix(e.Peer.Name, "guest") {
				t.Errorf("%s saw %+v", nodes[i].Name(), e)
			}
		}
	}
	stranger := start(t, "stranger", joining(nodes[0]), func(c *node.Config) { c.Mesh, c.Cookie = "meshtest", old })
	meshtest.Eventually(t, "a refusal", func() bool { return len(stranger.Report().Refusals) > 0 })
	if list := stranger.Nodes(node.Known, node.Connected); len(list) != 0 {
		t.Errorf("the old cookie leads to %v", list)
	}
	friend := start(t, "friend", joining(nodes[0]), func(c *node.Config) { c.Mesh, c.Cookie = "meshtest", fresh })
	connected(t, nodes[0], friend)
}

// tally is a handler that counts frames.
type tally struct{ n *atomic.Int64 }

func (c tally) PeerUp(node.Peer)                {}
func (c tally) Frame(node.Peer, []byte)         { c.n.Add(1) }
func (c tally) PeerDown(node.Peer, node.Reason) {}

func certified(c *broker.Certificate) func(*node.Config) {
	return func(cfg *node.Config) { cfg.Cookie, cfg.Certificate = nil, c }
}

func TestOwnCertificates(t *testing.T) {
	home := meshtest.NewAuthority(t)
	t.Run("a_mesh", func(t *testing.T) {
		a := start(t, "a", certified(home.Issue("a@127.0.0.1")))
		b := start(t, "b", certified(home.Issue("127.0.0.1")), joining(a))
		c := start(t, "c", certified(home.Issue("*@127.0.0.1")), joining(a))
		connected(t, a, b)
		connected(t, b, c)
		connected(t, a, c)
		// Disconnected and connected again: each opening is proven anew.
		for range 3 {
			a.Disconnect(b.Name())
			meshtest.Eventually(t, "the end of the session", func() bool { _, up := b.Peer(a.Name()); return !up })
			if _, err := b.Connect(within(t), a.Name()); err != nil {
				t.Fatal(err)
			}
			connected(t, a, b)
		}
	})
	t.Run("other_authority", func(t *testing.T) {
		var atA, atB logs
		a := start(t, "a", certified(home.Issue("a@127.0.0.1")), atA.into)
		b := start(t, "b", certified(meshtest.NewAuthority(t).Issue("b@127.0.0.1")), joining(a), atB.into)
		meshtest.Eventually(t, "a line in both logs", func() bool {
			return strings.Contains(atA.String(), "certificate not accepted") && strings.Contains(atB.String(), "certificate not accepted")
		})
		if list := b.Nodes(node.Known, node.Connected); len(list) != 0 {
			t.Errorf("it knows %v", list)
		}
	})
	t.Run("refused_at_home", func(t *testing.T) {
		for title, c := range map[string]*broker.Certificate{
			"for_another": home.Issue("b@127.0.0.1"), "ended": home.IssueUntil(time.Now().Add(-time.Hour), "a@127.0.0.1"),
		} {
			if _, err := tryStart(t, "a", certified(c)); !errors.Is(err, broker.ErrCertificate) {
				t.Errorf("%s: %v", title, err)
			}
		}
		if _, err := tryStart(t, "a", certified(&broker.Certificate{})); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("none: %v", err)
		}
	})
	for _, liar := range []string{"a", "z"} { // the lower of two says hello, the higher welcome
		t.Run("another_name_than_the_certificate/"+liar, func(t *testing.T) {
			var atM, atLiar logs
			m := start(t, "m", certified(home.Issue("m@127.0.0.1")), atM.into)
			x := start(t, liar, certified(home.Issue("127.0.0.1")), atLiar.into, ticking(50*time.Millisecond))
			x.Pretend(home.Issue("somebody@127.0.0.1"))
			if _, err := tryConnect(t, x, m); !errors.Is(err, node.ErrRefused) {
				t.Errorf("Connect: %v", err)
			}
			for name, log := range map[string]*logs{"m": &atM, liar: &atLiar} {
				meshtest.Eventually(t, "a line in the log of "+name, func() bool {
					return strings.Contains(log.String(), "certificate and name do not go together") && strings.Contains(log.String(), "somebody@127.0.0.1")
				})
			}
			if m.Counters()["frames_in"] != 0 || len(m.Nodes(node.Connected)) != 0 {
				t.Error("it was let in")
			}
		})
	}
	t.Run("renewed", func(t *testing.T) {
		short := home.IssueUntil(time.Now().Add(2*time.Second), "a@127.0.0.1")
		a := start(t, "a", certified(short))
		b := start(t, "b", certified(home.Issue("b@127.0.0.1")), joining(a))
		connected(t, a, b)
		meshtest.Eventually(t, "the certificate's end", func() bool { return time.Now().After(short.Expires()) })
		if !same(a, b) {
			t.Error("the session ended with it")
		}
		c := start(t, "c", certified(home.Issue("c@127.0.0.1")), joining(a))
		meshtest.Eventually(t, "a refusal", func() bool {
			list := c.Report().Refusals
			return len(list) > 0 && strings.Contains(list[0].Why, "not valid now")
		})
		if err := a.SetCertificate(home.Issue("b@127.0.0.1")); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("one for another node: %v", err)
		}
		if err := a.SetCertificate(home.Issue("a@127.0.0.1")); err != nil {
			t.Fatal(err)
		}
		connected(t, a, c)
	})
}

// tryConnect has a node dial another and connect to it.
func tryConnect(t *testing.T, from, to *node.Node) (node.Peer, error) {
	t.Helper()
	from.Knows(to.Addr())
	meshtest.Eventually(t, "a route", func() bool { return from.Report().Routes > 0 })
	for {
		p, err := from.Connect(within(t), to.Name())
		if !errors.Is(err, node.ErrNoNode) {
			return p, err
		}
	}
}
