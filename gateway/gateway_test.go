package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(floodEnv); addr != "" {
		if err := flood(addr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const password = "a password for clients"

// world is one node with all layers, and a gateway if it has a port for clients.
type world struct {
	node    *node.Node
	runtime *process.Runtime
	groups  *pg.Groups
	calls   *rpc.Server
	gateway *Gateway
}

func start(t testing.TB, name, dir string, clients bool, rules ...node.Rule) *world {
	t.Helper()
	cfg := node.Config{Name: name, Cookie: []byte("a cookie for the gateway"), DataDir: dir, Rules: rules}
	if clients {
		cfg.Clients = &broker.Clients{Listen: "127.0.0.1:0", Users: []broker.ClientUser{{Name: "guest", Password: password}}}
	}
	n, err := node.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	w := &world{node: n}
	w.runtime, err = process.New(n)
	fatal(t, err)
	w.groups, err = pg.New(w.runtime)
	fatal(t, err)
	_, err = w.groups.Scope(pg.DefaultScope)
	fatal(t, err)
	w.calls, err = rpc.New(n)
	fatal(t, err)
	if clients {
		w.gateway, err = New(Config{Runtime: w.runtime, Groups: w.groups, Calls: w.calls})
		fatal(t, err)
		t.Cleanup(func() { w.gateway.Close() })
	}
	return w
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func client(t testing.TB, w *world) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("nats://"+w.node.ClientAddr(), nats.UserInfo("guest", password))
	fatal(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func TestNewWithoutPort(t *testing.T) {
	w := start(t, "a@127.0.0.1", t.TempDir(), false)
	if g, err := New(Config{Runtime: w.runtime, Groups: w.groups, Calls: w.calls}); !errors.Is(err, ErrNoPort) {
		t.Fatal(g, err)
	}
}

// TestCalls calls functions of two nodes as a plain NATS client.
func TestCalls(t *testing.T) {
	dir := t.TempDir()
	rule, err := node.ParseRule("refuse a@* call late.*")
	fatal(t, err)
	b := start(t, "b@127.0.0.1", dir, false, rule)
	a := start(t, "a@127.0.0.1", dir, true)
	fatal(t, a.node.WaitPeers(t.Context(), 1))
	fatal(t, rpc.Register(b.calls, "shop.price", func(_ context.Context, item string) (int, error) {
		if item != "tea" {
			return 0, fmt.Errorf("no %s here", item)
		}
		return 3, nil
	}))
	for _, w := range []*world{a, b} {
		fatal(t, rpc.Register(w.calls, "shop.all", func(context.Context, int) (string, error) { return strings.Repeat("tea ", 1<<19), nil }))
	}
	fatal(t, rpc.Register(a.calls, "late.bloomer", func(context.Context, int) (string, error) { return "here", nil }))
	nc := client(t, a)
	rows := []struct {
		name, fn, arg, node, timeout string
		want, code, kind             string
	}{
		{name: "own-node", fn: "kith.sum", arg: "[1,2,3]", want: "6"},
		{name: "nothing-is-null", fn: "kith.echo", want: "null"},
		{name: "other-node", fn: "kith.echo", arg: `{"x":1.50}`, node: "b@127.0.0.1", want: `{"x":1.50}`},
		{name: "not-json", fn: "kith.echo", arg: "{", code: "400", kind: "bad_argument"},
		{name: "no-such-node", fn: "kith.echo", arg: "1", node: "z@127.0.0.1", code: "503", kind: "no_connection"},
		{name: "bad-node", fn: "kith.echo", arg: "1", node: "@@", code: "400", kind: "bad_argument"},
		{name: "time-out", fn: "kith.sleep", arg: "60000", timeout: "50ms", code: "504", kind: "timeout"},
		{name: "bad-time", fn: "kith.echo", arg: "1", timeout: "soon", code: "400", kind: "bad_argument"},
		{name: "time-without-end", fn: "kith.echo", arg: "1", timeout: "1000h", code: "400", kind: "bad_argument"},
		{name: "long-nonsense", fn: "kith.echo", arg: "1", timeout: strings.Repeat(`"`, 300<<10), code: "400", kind: "bad_argument"},
		{name: "long-name", fn: "kith.echo", arg: "1", node: strings.Repeat(`"`, 300<<10), code: "400", kind: "bad_argument"},
		{name: "long-answer", fn: "shop.all", arg: "1", code: "500", kind: "too_large"},
		{name: "long-answer-of-another", fn: "shop.all", arg: "1", node: "b@127.0.0.1", code: "500", kind: "too_large"},
		{name: "refused-by-a-rule", fn: "late.bloomer", arg: "1", node: "b@127.0.0.1", code: "403", kind: "refused"},
		{name: "registered-later", fn: "late.bloomer", arg: "1", want: `"here"`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			m := &nats.Msg{Subject: callPrefix + row.fn, Data: []byte(row.arg), Header: nats.Header{}}
			if row.node != "" {
				m.Header.Set(HeaderNode, row.node)
			}
			if row.timeout != "" {
				m.Header.Set(HeaderTimeout, row.timeout)
			}
			answer := ask(t, nc, m)
			if code := answer.Header.Get("Nats-Service-Error-Code"); code != row.code {
				t.Fatalf("code %q, want %q: %s", code, row.code, answer.Data)
			}
			if row.code == "" {
				if string(answer.Data) != row.want {
					t.Fatalf("got %s, want %s", answer.Data, row.want)
				}
				return
			}
			var p problem
			fatal(t, json.Unmarshal(answer.Data, &p))
			if p.Kind != row.kind || p.Message == "" || p.Func != row.fn {
				t.Fatalf("got %+v", p)
			}
		})
	}
	t.Run("unknown-function", func(t *testing.T) {
		if _, err := nc.Request(callPrefix+"no.such", nil, time.Second); !errors.Is(err, nats.ErrNoResponders) {
			t.Fatal(err)
		}
	})
	t.Run("function-fails", func(t *testing.T) {
		fatal(t, rpc.Register(a.calls, "shop.price", func(context.Context, string) (int, error) { return 0, errors.New("sold out") }))
		m := &nats.Msg{Subject: callPrefix + "shop.price", Data: []byte(`"tea"`), Header: nats.Header{}}
		if answer := ask(t, nc, m); answer.Header.Get("Nats-Service-Error-Code") != "500" || !strings.Contains(string(answer.Data), "sold out") {
			t.Fatalf("%v %s", answer.Header, answer.Data)
		}
		m.Header.Set(HeaderNode, "b@127.0.0.1")
		if answer := ask(t, nc, m); string(answer.Data) != "3" {
			t.Fatalf("%v %s", answer.Header, answer.Data)
		}
	})
}

// ask asks until somebody takes the request: a function that was just registered is offered within 50 ms.
func ask(t *testing.T, nc *nats.Conn, m *nats.Msg) *nats.Msg {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		answer, err := nc.RequestMsg(m, 20*time.Second)
		if err == nil {
			return answer
		}
		if !errors.Is(err, nats.ErrNoResponders) || time.Now().After(deadline) {
			t.Fatal(m.Subject, err)
		}
	}
}

// TestServiceTools asks as the standard tools do: who is there, what is offered, how it went. Both gateways answer.
func TestServiceTools(t *testing.T) {
	dir := t.TempDir()
	a := start(t, "a@127.0.0.1", dir, true)
	b := start(t, "b@127.0.0.1", dir, true)
	fatal(t, a.node.WaitPeers(t.Context(), 1))
	nc := client(t, b)
	if _, err := nc.Request(callPrefix+"kith.sum", []byte("[1,2]"), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	var nodes []string
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	fatal(t, err)
	deadline := time.Now().Add(20 * time.Second)
	for len(nodes) < 2 && time.Now().Before(deadline) {
		nodes = nil
		fatal(t, nc.PublishRequest("$SRV.INFO."+serviceName, inbox, nil))
		for {
			m, err := sub.NextMsg(200 * time.Millisecond)
			if err != nil {
				break
			}
			var info micro.Info
			fatal(t, json.Unmarshal(m.Data, &info))
			if info.Type == micro.InfoResponseType && !slices.Contains(nodes, info.Metadata["node"]) {
				nodes = append(nodes, info.Metadata["node"])
			}
			if !slices.ContainsFunc(info.Endpoints, func(e micro.EndpointInfo) bool { return e.Subject == "kith.fn.kith.sum" }) {
				t.Fatalf("no kith.sum in %+v", info.Endpoints)
			}
		}
	}
	if slices.Sort(nodes); !slices.Equal(nodes, []string{"a@127.0.0.1", "b@127.0.0.1"}) {
		t.Fatal(nodes)
	}
	sum := serviceStats(t, nc, b, "kith-sum")
	var ours functionStats
	fatal(t, json.Unmarshal(sum.Data, &ours))
	if sum.NumRequests != 1 || ours.Failed != 0 {
		t.Fatalf("%+v, %+v", sum, ours)
	}
}

// serviceStats asks a gateway, as the standard tools do, how one of its endpoints went.
func serviceStats(t *testing.T, nc *nats.Conn, w *world, endpoint string) *micro.EndpointStats {
	t.Helper()
	m, err := nc.Request("$SRV.STATS."+serviceName+"."+w.gateway.svc.Info().ID, nil, 5*time.Second)
	fatal(t, err)
	var stats micro.Stats
	fatal(t, json.Unmarshal(m.Data, &stats))
	i := slices.IndexFunc(stats.Endpoints, func(e *micro.EndpointStats) bool { return e.Name == endpoint })
	if i < 0 {
		t.Fatalf("no %s in %+v", endpoint, stats.Endpoints)
	}
	return stats.Endpoints[i]
}

// TestServiceTimes has calls that run, end and fail, and reads of each from the statistics of the service.
func TestServiceTimes(t *testing.T) {
	w := start(t, "a@127.0.0.1", t.TempDir(), true)
	nc := client(t, w)
	begun, end := make(chan struct{}), make(chan struct{})
	fatal(t, rpc.Register(w.calls, "shop.wait", func(_ context.Context, ok bool) (int, error) {
		begun <- struct{}{}
		<-end
		if !ok {
			return 0, errors.New("sold out")
		}
		return 1, nil
	}))
	ours := func() (s functionStats) {
		fatal(t, json.Unmarshal(serviceStats(t, nc, w, "shop-wait").Data, &s))
		return s
	}
	meshtest.Eventually(t, "the function to be offered", func() bool {
		return slices.ContainsFunc(w.gateway.svc.Info().Endpoints, func(e micro.EndpointInfo) bool { return e.Name == "shop-wait" })
	})
	inbox := nc.NewInbox()
	answers, err := nc.SubscribeSync(inbox)
	fatal(t, err)
	for _, arg := range []string{"true", "false"} {
		fatal(t, nc.PublishRequest(callPrefix+"shop.wait", inbox, []byte(arg)))
	}
	<-begun
	<-begun
	if s := ours(); s != (functionStats{Running: 2}) {
		t.Errorf("while two run: %+v", s)
	}
	close(end)
	for range 2 {
		_, err := answers.NextMsg(20 * time.Second)
		fatal(t, err)
	}
	meshtest.Eventually(t, "both to have ended", func() bool { return ours().Ended == 2 })
	if s := ours(); s.Running != 0 || s.Failed != 1 || s.Average <= 0 {
		t.Errorf("after both: %+v", s)
	}
}

// TestGroups publishes to a group and hears another, by name and by wildcard.
func TestGroups(t *testing.T) {
	dir := t.TempDir()
	b := start(t, "b@127.0.0.1", dir, false)
	a := start(t, "a@127.0.0.1", dir, true)
	fatal(t, a.node.WaitPeers(t.Context(), 1))
	far, err := b.groups.Scope(pg.DefaultScope)
	fatal(t, err)
	got := make(chan any, 8)
	member := b.runtime.Spawn(func(self *process.Process) error {
		for {
			m, err := self.Receive(self.Context())
			if err != nil {
				return nil
			}
			got <- m
		}
	})
	fatal(t, far.Join("sport.football/é", member))
	near, err := a.groups.Scope(pg.DefaultScope)
	fatal(t, err)
	meshtest.Eventually(t, "the member to be seen", func() bool { return len(near.Members("sport.football/é")) == 1 })
	nc := client(t, a)
	heard, err := nc.SubscribeSync(groupPrefix + "sport.*")
	fatal(t, err)
	meshtest.Eventually(t, "the gateway to join", func() bool { return len(far.Members("sport.football/é")) == 2 })
	subject := broadcastPrefix + escapeGroup("sport.football/é")
	answer, err := nc.Request(subject, []byte("goal"), 5*time.Second)
	fatal(t, err)
	if string(answer.Data) != `{"members":2,"nodes":2}` {
		t.Fatalf("%s %v", answer.Data, answer.Header)
	}
	if m := <-got; m != "goal" {
		t.Fatal(m)
	}
	if m, err := heard.NextMsg(5 * time.Second); err != nil || string(m.Data) != "goal" {
		t.Fatal(m, err)
	}
	if _, err := far.Broadcast(t.Context(), "sport.football/é", map[string]any{"score": 2}); err != nil {
		t.Fatal(err)
	}
	m, err := heard.NextMsg(5 * time.Second)
	if err != nil || string(m.Data) != `{"score":2}` || m.Header.Get(contentType) != typeJSON || m.Subject != groupPrefix+escapeGroup("sport.football/é") {
		t.Fatal(m, err)
	}
	<-got
	bad, err := nc.Request(broadcastPrefix+"%4", nil, 5*time.Second)
	if err != nil || bad.Header.Get("Nats-Service-Error-Code") != "400" {
		t.Fatal(bad, err)
	}
	fatal(t, heard.Unsubscribe())
	meshtest.Eventually(t, "the gateway to leave", func() bool { return len(far.Members("sport.football/é")) == 1 })
}

// TestReplies: a client may not have the gateway say for it what it may not say itself; without a reply nothing is missed.
func TestReplies(t *testing.T) {
	w := start(t, "a@127.0.0.1", t.TempDir(), true)
	nc, other := client(t, w), client(t, w)
	heard, err := other.SubscribeSync(groupPrefix + "room")
	fatal(t, err)
	fatal(t, other.Flush())
	for _, reply := range []string{groupPrefix + "room", "$SRV.PING"} {
		fatal(t, nc.PublishRequest(callPrefix+"kith.echo", reply, []byte(`"forged"`)))
		fatal(t, nc.PublishRequest(broadcastPrefix+"nobody", reply, []byte("forged")))
	}
	fatal(t, nc.Publish(callPrefix+"kith.echo", []byte(`"nobody asks"`)))
	if _, err := nc.Request(callPrefix+"kith.echo", []byte("1"), 20*time.Second); err != nil { // behind them
		t.Fatal(err)
	}
	meshtest.Eventually(t, "all to be taken", func() bool { s := w.gateway.Stats(); return s.Calls == 4 && s.Broadcasts == 2 })
	fatal(t, other.Flush())
	if m, err := heard.NextMsg(100 * time.Millisecond); !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("heard %v, %v", m, err)
	}
	if s := w.gateway.Stats(); s.Failed != 2 || s.Dropped != 2 {
		t.Errorf("%+v", s)
	}
}

// TestListenerEnds: clients go on hearing a group when somebody has ended all of its members.
func TestListenerEnds(t *testing.T) {
	w := start(t, "a@127.0.0.1", t.TempDir(), true)
	nc := client(t, w)
	scope, err := w.groups.Scope(pg.DefaultScope)
	fatal(t, err)
	heard, err := nc.SubscribeSync(groupPrefix + "room")
	fatal(t, err)
	one := func() bool { return len(scope.Members("room")) == 1 }
	meshtest.Eventually(t, "the gateway to join", one)
	first := scope.Members("room")[0]
	w.runtime.Exit(first, process.ErrKill)
	meshtest.Eventually(t, "another to take its place", func() bool { return one() && scope.Members("room")[0] != first })
	_, err = scope.Broadcast(t.Context(), "room", "still here")
	fatal(t, err)
	if m, err := heard.NextMsg(20 * time.Second); err != nil || string(m.Data) != "still here" {
		t.Errorf("%v, %v", m, err)
	}
	// Names that no group can have are no concern of others.
	_, err = nc.SubscribeSync(groupPrefix + strings.Repeat("x", pg.MaxName+1))
	fatal(t, err)
	before := w.runtime.Attach()
	_, err = nc.SubscribeSync(groupPrefix + "next")
	fatal(t, err)
	meshtest.Eventually(t, "the gateway to join", func() bool { return len(scope.Members("next")) == 1 })
	after := w.runtime.Attach()
	if n := after.PID().ID - before.PID().ID; n != 2 {
		t.Errorf("%d processes came where one was needed", n-1)
	}
	before.Detach(nil)
	after.Detach(nil)
}

// TestStopping: a client that waits when the gateway ends is told to ask elsewhere, and not that the function failed.
func TestStopping(t *testing.T) {
	w := start(t, "a@127.0.0.1", t.TempDir(), true)
	nc := client(t, w)
	answer := make(chan error, 1)
	go func() {
		m, err := nc.Request(callPrefix+"kith.sleep", []byte("60000"), 20*time.Second)
		if err == nil && m.Header.Get(micro.ErrorCodeHeader) != "503" {
			err = fmt.Errorf("%v %s", m.Header, m.Data)
		}
		answer <- err
	}()
	meshtest.Eventually(t, "the call to run", func() bool { return w.gateway.room.calls.Load() == 1 })
	fatal(t, w.gateway.Close())
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if r := &w.gateway.room; r.calls.Load() != 0 || r.bytes.Load() != 0 {
		t.Errorf("%d calls, %d bytes are held", r.calls.Load(), r.bytes.Load())
	}
}

// TestRoom bounds calls, and bytes.
func TestRoom(t *testing.T) {
	var r room
	for range maxCalls {
		if !r.take(maxCallBytes / maxCalls) {
			t.Fatal("refused")
		}
	}
	if r.take(0) || r.take(1) {
		t.Error("one call too many")
	}
	r.leave(maxCallBytes / maxCalls)
	if r.take(maxCallBytes/maxCalls + 1) {
		t.Error("one byte too many")
	}
	if !r.take(maxCallBytes / maxCalls) {
		t.Error("refusals take room")
	}
}

// TestOverrun has clients send more to one function than may wait for it: what is dropped is counted, also after the end.
func TestOverrun(t *testing.T) {
	w := start(t, "a@127.0.0.1", t.TempDir(), true)
	g, nc := w.gateway, client(t, w)
	const sent, size = 100, 256 << 10 // 25 MiB
	request := []byte(`"` + strings.Repeat("x", size) + `"`)
	g.mu.Lock() // the first call waits here, and the others for it
	for range sent {
		fatal(t, nc.PublishRequest(callPrefix+"kith.echo", "_INBOX.nobody", request))
	}
	fatal(t, nc.Flush())
	meshtest.Eventually(t, "a full backlog", func() bool {
		return slices.ContainsFunc(g.svc.Stats().Endpoints, func(e *micro.EndpointStats) bool { return e.NumErrors > 0 })
	})
	g.mu.Unlock()
	meshtest.Eventually(t, "every request is taken or counted", func() bool {
		s := g.Stats()
		return s.Overrun > 0 && s.Calls+s.Overrun == sent
	})
	before := g.Stats().Overrun
	fatal(t, g.Close())
	if now := g.Stats().Overrun; now != before {
		t.Errorf("%d are counted after the end, %d before", now, before)
	}
}

func TestEscapeGroup(t *testing.T) {
	for name, want := range map[string]string{
		"plain": "plain", "a.b": "a.b", ".a": "%2Ea", "a.": "a%2E", "a..b": "a.%2Eb", "a b": "a%20b", "é": "%C3%A9", "*": "%2A", ">": "%3E", "%41": "%2541",
	} {
		got := escapeGroup(name)
		back, err := unescapeGroup(got)
		if got != want || err != nil || back != name {
			t.Errorf("%q: got %q, want %q; back %q, %v", name, got, want, back, err)
		}
	}
	for _, bad := range []string{"%", "%4", "%zz"} {
		if s, err := unescapeGroup(bad); err == nil {
			t.Errorf("%q gave %q", bad, s)
		}
	}
}

func FuzzGroupName(f *testing.F) {
	f.Add("a.b")
	f.Add("..")
	f.Fuzz(func(t *testing.T, name string) {
		s := escapeGroup(name)
		if back, err := unescapeGroup(s); err != nil || back != name {
			t.Fatal(name, s, back, err)
		}
		if name != "" && (strings.Contains(s, "..") || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.ContainsAny(s, " *>\r\n\t")) {
			t.Fatalf("%q is no subject", s)
		}
	})
}

func TestMatches(t *testing.T) {
	for _, row := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"*", "a", true}, {"*", "a.b", false}, {">", "a.b", true}, {"a.>", "a", false}, {"a.>", "a.b.c", true}, {"a.*.c", "a.b.c", true}, {"a.*.c", "a.b.d", false},
	} {
		if got := matches(row.pattern, row.subject); got != row.want {
			t.Errorf("%s on %s: %v", row.pattern, row.subject, got)
		}
	}
}
