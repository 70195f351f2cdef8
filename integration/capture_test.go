package integration

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/gateway"
	"github.com/kith-mesh/kith/internal/freeport"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// tap is a TCP proxy that writes down every byte of both directions.
type tap struct {
	listener net.Listener
	target   func() string
	wg       sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	seen  bytes.Buffer
	conns []net.Conn
}

func newTap(t *testing.T, target func() string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{listener: l, target: target}
	p.wg.Go(p.run)
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *tap) addr() string { return p.listener.Addr().String() }

func (p *tap) run() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target())
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		for _, ends := range [][2]net.Conn{{in, out}, {out, in}} {
			p.wg.Go(func() {
				_, _ = io.Copy(io.MultiWriter(p, ends[1]), ends[0]) // written down before anybody can act on it
				_ = ends[1].Close()
			})
		}
	}
}

// Write implements io.Writer, for what passes.
func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Write(b)
}

// finds lists which of the secrets can be read in what passed, as they are, in hexadecimal or in base64.
func (p *tap) finds(secrets map[string][]byte) (found []string, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.seen.Bytes()
	for what, s := range secrets {
		for _, form := range [][]byte{s, []byte(hex.EncodeToString(s)), []byte(base64.RawStdEncoding.EncodeToString(s))} {
			if bytes.Contains(all, form) {
				found = append(found, what)
				break
			}
		}
	}
	return found, len(all)
}

// word is a word that stands nowhere else.
func word(what string) string { return what + "-" + rand.Text() }

// member is a node with its layers.
type member struct {
	node   *node.Node
	rt     *process.Runtime
	groups *pg.Groups
	scope  *pg.Scope
	calls  *rpc.Server
}

func startMember(t *testing.T, cfg node.Config) (m member) {
	t.Helper()
	var err error
	if m.node, err = node.Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.node.Close() })
	if m.rt, err = process.New(m.node); err != nil {
		t.Fatal(err)
	}
	if m.groups, err = pg.New(m.rt); err != nil {
		t.Fatal(err)
	}
	if m.scope, err = m.groups.Scope(pg.DefaultScope); err != nil {
		t.Fatal(err)
	}
	if m.calls, err = rpc.New(m.node); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestCapture lets two nodes say known things to each other, and an onlooker who sees every byte between them look for
// those, for the names of functions and groups, and for the cookie. The same in plain text shows that he would find them.
func TestCapture(t *testing.T) {
	home := meshtest.NewAuthority(t)
	cookie := []byte(word("cookie"))
	for title, secure := range map[string]func(*node.Config){
		"cookie": func(c *node.Config) { c.Cookie = cookie },
		"peer_cookie": func(c *node.Config) {
			c.Cookie, c.PeerCookies = []byte(word("own-cookie")), map[string][]byte{"alice@127.0.0.1": cookie, "bertha@127.0.0.1": cookie}
		},
		"certificates": func(c *node.Config) { c.Certificate = home.Issue(c.Name) },
		"plain_text":   func(c *node.Config) { c.Plaintext = true },
	} {
		t.Run(title, func(t *testing.T) {
			var taps []*tap
			launch := func(name string) member {
				listen, err := freeport.Addrs(1)
				if err != nil {
					t.Fatal(err)
				}
				p := newTap(t, func() string { return listen[0] })
				cfg := node.Config{Name: name + "@127.0.0.1", Mesh: "capture", Listen: listen[0], Advertise: p.addr()}
				for _, other := range taps {
					cfg.Join = append(cfg.Join, other.addr())
				}
				secure(&cfg)
				taps = append(taps, p)
				return startMember(t, cfg)
			}
			a := launch("alice")
			b := launch("bertha")
			if err := b.node.WaitPeers(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			said := converse(t, a, b)
			said["cookie"] = cookie
			said["name of a node"] = []byte("bertha@127.0.0.1")
			var found []string
			for _, p := range taps {
				names, total := p.finds(said)
				found = append(found, names...)
				t.Logf("%d bytes passed", total)
			}
			if title == "plain_text" {
				if len(found) < len(said)-1 { // all but the cookie, of which there is none
					t.Errorf("of %d things only %v are found in plain text: the search is no good", len(said), found)
				}
				return
			}
			if len(found) > 0 {
				t.Errorf("on the wire can be read: %v", found)
			}
		})
	}
}

// converse has two members call, broadcast and send, and returns what they said.
func converse(t *testing.T, a, b member) map[string][]byte {
	t.Helper()
	fn, arg, answer, failure := word("fn"), word("argument"), word("answer"), word("failure")
	group, news, letter, meta := word("group"), word("news"), word("letter"), word("meta")
	if err := rpc.Register(a.calls, fn, func(_ context.Context, got string) (string, error) {
		if got != arg {
			return "", fmt.Errorf("%s", failure)
		}
		return answer, nil
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := rpc.Call[string, string](t.Context(), b.calls, a.node.Name(), fn, arg); err != nil || got != answer {
		t.Fatal(got, err)
	}
	if _, err := rpc.Call[string, string](t.Context(), b.calls, a.node.Name(), fn, "x"); err == nil {
		t.Fatal("no failure")
	}
	got := make(chan process.Message, 2)
	reader := a.rt.Spawn(func(self *process.Process) error {
		for range cap(got) {
			m, err := self.Receive(self.Context())
			if err != nil {
				return err
			}
			got <- m
		}
		return nil
	})
	if err := a.scope.JoinWith(group, pg.Meta{"k": meta}, reader); err != nil {
		t.Fatal(err)
	}
	meshtest.Eventually(t, "the member", func() bool { return len(b.scope.Members(group)) == 1 })
	if _, err := b.scope.Broadcast(t.Context(), group, news); err != nil {
		t.Fatal(err)
	}
	if err := b.rt.Send(t.Context(), reader, letter); err != nil {
		t.Fatal(err)
	}
	for range cap(got) {
		<-got
	}
	return map[string][]byte{
		"function": []byte(fn), "argument": []byte(arg), "answer": []byte(answer), "failure": []byte(failure), "group": []byte(group),
		"broadcast": []byte(news), "message": []byte(letter), "metadata": []byte(meta),
	}
}

// TestCaptureOfClients does so between a node and a plain NATS client.
func TestCaptureOfClients(t *testing.T) {
	home := meshtest.NewAuthority(t)
	for _, secure := range []bool{true, false} {
		t.Run(fmt.Sprintf("tls_%v", secure), func(t *testing.T) {
			password, fn, arg, answer := word("password"), word("fn"), word("argument"), word("answer")
			clients := &broker.Clients{Listen: "127.0.0.1:0", Users: []broker.ClientUser{{Name: "guest", Password: password}}}
			opts := []nats.Option{nats.UserInfo("guest", password)}
			if secure {
				clients.TLS = &tls.Config{Certificates: []tls.Certificate{home.Issue("127.0.0.1").Own}}
				opts = append(opts, nats.Secure(&tls.Config{RootCAs: home.Roots()}))
			}
			m := startMember(t, node.Config{Name: "a@127.0.0.1", Mesh: "capture", Cookie: []byte(word("cookie")), Clients: clients})
			if err := rpc.Register(m.calls, fn, func(_ context.Context, got string) (string, error) { return answer + got, nil }); err != nil {
				t.Fatal(err)
			}
			g, err := gateway.New(gateway.Config{Runtime: m.rt, Groups: m.groups, Calls: m.calls})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			p := newTap(t, m.node.ClientAddr)
			nc, err := nats.Connect("nats://"+p.addr(), opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			got, err := nc.Request("kith.fn."+fn, []byte(`"`+arg+`"`), patience)
			if err != nil || string(got.Data) != `"`+answer+arg+`"` {
				t.Fatalf("%s, %v", got.Data, err)
			}
			said := map[string][]byte{"password": []byte(password), "function": []byte(fn), "argument": []byte(arg), "answer": []byte(answer)}
			found, total := p.finds(said)
			if secure && len(found) > 0 || !secure && len(found) != len(said) || total == 0 {
				t.Errorf("of %d bytes can be read: %v", total, found)
			}
		})
	}
}
