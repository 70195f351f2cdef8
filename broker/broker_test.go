package broker_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/internal/leak"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, leak.Stores()...) }

var testCookie = []byte("0123456789abcdef0123456789abcdef")

// within is how long anything that should take milliseconds may take on a crowded machine.
const within = 15 * time.Second

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(within)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, within)
		}
		<-tick.C
	}
}

// start runs a broker called name; change may change its configuration.
func start(t *testing.T, name string, change ...func(*broker.Config)) *broker.Broker {
	t.Helper()
	cfg := broker.Config{Mesh: "test", ServerName: name, Cookie: testCookie}
	for _, f := range change {
		f(&cfg)
	}
	b, err := broker.Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("closing %s: %v", name, err)
		}
	})
	return b
}

func routes(addrs ...string) func(*broker.Config) {
	return func(c *broker.Config) { c.Routes = addrs }
}

func connect(t *testing.T, b *broker.Broker, a broker.Account) *nats.Conn {
	t.Helper()
	nc, err := b.Connect(a)
	if err != nil {
		t.Fatalf("connecting to %s: %v", a, err)
	}
	return nc
}

// linked reports whether b has both accounts connected to the server called name.
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

// events collects route events.
type events struct {
	mu   sync.Mutex // guards the fields below
	seen []broker.RouteEvent
}

func (e *events) add(ev broker.RouteEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, ev)
}

func (e *events) has(match func(broker.RouteEvent) bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.seen {
		if match(ev) {
			return true
		}
	}
	return false
}

func (e *events) all() []broker.RouteEvent {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]broker.RouteEvent(nil), e.seen...)
}

func watch(e *events) func(*broker.Config) {
	return func(c *broker.Config) { c.OnRoute = e.add }
}

func TestTwoBrokersCarryBothAccounts(t *testing.T) {
	a := start(t, "a")
	began := time.Now()
	b := start(t, "b", routes(a.Addr()))
	eventually(t, "route", func() bool { return linked(a, "b") && linked(b, "a") })
	t.Logf("linked %v after starting the second", time.Since(began))
	for _, account := range []broker.Account{broker.App, broker.Control} {
		ca, cb := connect(t, a, account), connect(t, b, account)
		if _, err := cb.Subscribe("ping", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
			t.Fatal(err)
		}
		eventually(t, "answer on "+string(account), func() bool {
			m, err := ca.Request("ping", []byte("x"), time.Second)
			return err == nil && string(m.Data) == "x"
		})
	}
	if n := a.NumRemotes(); n != 1 {
		t.Errorf("NumRemotes = %d, want 1", n)
	}
	all, err := b.Routes()
	if err != nil || len(all) != 1 || !all[0].Solicited || all[0].Addr != a.Addr() {
		t.Errorf("Routes = %+v, %v; want one, solicited, at %s", all, err, a.Addr())
	}
}

func TestAccountsAreIsolated(t *testing.T) {
	b := start(t, "a")
	app, control := connect(t, b, broker.App), connect(t, b, broker.Control)
	sub, err := control.SubscribeSync("x")
	if err != nil {
		t.Fatal(err)
	}
	if err := control.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Request("x", nil, time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("request from another account: %v, want no responders", err)
	}
	if n, _, err := sub.Pending(); n != 0 || err != nil {
		t.Errorf("%d messages crossed, %v", n, err)
	}
	if _, err := b.Connect("SYS"); !errors.Is(err, broker.ErrBadConfig) {
		t.Errorf("connecting to the system account: %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	rows := []struct {
		name   string
		change func(*broker.Config)
		want   error
	}{
		{"no_mesh", func(c *broker.Config) { c.Mesh = "" }, broker.ErrBadConfig},
		{"mesh_with_space", func(c *broker.Config) { c.Mesh = "a b" }, broker.ErrBadConfig},
		{"no_server_name", func(c *broker.Config) { c.ServerName = "" }, broker.ErrBadConfig},
		{"no_cookie", func(c *broker.Config) { c.Cookie = nil }, broker.ErrCookieTooShort},
		{"short_cookie", func(c *broker.Config) { c.Cookie = []byte("short") }, broker.ErrCookieTooShort},
		{"beyond_loopback_no_cookie", func(c *broker.Config) { c.Cookie, c.Listen = nil, "0.0.0.0:0" }, broker.ErrInsecure},
		{"beyond_loopback_plaintext", func(c *broker.Config) { c.Plaintext, c.Listen = true, ":0" }, broker.ErrInsecure},
		{"bad_listen", func(c *broker.Config) { c.Listen = "nonsense" }, broker.ErrBadConfig},
		{"bad_range", func(c *broker.Config) { c.Listen = "127.0.0.1:9-7" }, broker.ErrBadConfig},
		{"bad_route", routes("nonsense"), broker.ErrBadConfig},
		{"bad_advertise", func(c *broker.Config) { c.Advertise = "nonsense" }, broker.ErrBadConfig},
		{"bad_sni", func(c *broker.Config) { c.SNI = "a.b" }, broker.ErrBadConfig},
		{"big_payload", func(c *broker.Config) { c.MaxPayload = 1 << 30 }, broker.ErrBadConfig},
		{"port_in_use", func(c *broker.Config) { c.Listen = taken.Addr().String() }, broker.ErrPortInUse},
		{"not_our_address", func(c *broker.Config) { c.Listen = "192.0.2.1:0" }, broker.ErrListen},
		{"no_such_host", func(c *broker.Config) { c.Listen = "no-such-host.invalid:0" }, broker.ErrListen},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cfg := broker.Config{Mesh: "test", ServerName: "a", Cookie: testCookie}
			row.change(&cfg)
			b, err := broker.Start(t.Context(), cfg)
			if b != nil {
				_ = b.Close()
			}
			if !errors.Is(err, row.want) {
				t.Errorf("Start: %v, want %v", err, row.want)
			}
			if err != nil && strings.Contains(err.Error(), string(testCookie)) {
				t.Error("the error shows the cookie")
			}
		})
	}
}

func TestPortRangeTakesTheFirstFreePort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	last := "65535"
	b := start(t, "a", func(c *broker.Config) { c.Listen = "127.0.0.1:" + port + "-" + lesser(port, last) })
	if b.Addr() == taken.Addr().String() {
		t.Errorf("bound to the taken port %s", port)
	}
}

func TestTCPClientsAreRefused(t *testing.T) {
	b := start(t, "a")
	url := broker.ClientURL(b)
	for name, opts := range map[string][]nats.Option{
		"no_user":         nil,
		"right_password":  {nats.UserInfo(string(broker.App), broker.Secret(b))},
		"wrong_password":  {nats.UserInfo(string(broker.App), "x")},
		"system_account":  {nats.UserInfo("SYS", broker.Secret(b))},
		"control_account": {nats.UserInfo(string(broker.Control), broker.Secret(b))},
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := nats.Connect(url, opts...)
			if !errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("connecting over TCP: %v, want %v", err, nats.ErrAuthorization)
			}
			if nc != nil {
				nc.Close()
			}
		})
	}
}

func TestShutdownMayBeRepeated(t *testing.T) {
	b := start(t, "a")
	nc := connect(t, b, broker.App)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := b.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
	group.Wait()
	if err := b.Close(); err != nil {
		t.Errorf("Close after Shutdown: %v", err)
	}
	if !nc.IsClosed() {
		t.Error("a connection outlived its broker")
	}
	if _, err := b.Connect(broker.App); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Connect after Close: %v", err)
	}
	if _, err := b.Routes(); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Routes after Close: %v", err)
	}
	if err := b.SetRoutes([]string{"127.0.0.1:1"}); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("SetRoutes after Close: %v", err)
	}
}

func TestShutdownHandsOnWhatWasPublished(t *testing.T) {
	a := start(t, "a")
	b := start(t, "b", routes(a.Addr()))
	eventually(t, "route", func() bool { return linked(a, "b") && linked(b, "a") })
	there, here := connect(t, a, broker.App), connect(t, b, broker.App)
	const count = 20_000
	got := make(chan *nats.Msg, count)
	if _, err := there.ChanSubscribe("n", got); err != nil {
		t.Fatal(err)
	}
	if _, err := there.Subscribe("here", func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "interest", func() bool {
		_, err := here.Request("here", nil, time.Second)
		return err == nil
	})
	for range count {
		if err := here.Publish("n", make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all messages", func() bool { return len(got) == count })
}

func TestLogShowsNoSecrets(t *testing.T) {
	var out syncBuffer
	logged := func(c *broker.Config) { c.Log = zerolog.New(&out) }
	a := start(t, "a", logged)
	b := start(t, "b", logged, routes(a.Addr()))
	eventually(t, "route", func() bool { return linked(a, "b") && linked(b, "a") })
	connect(t, a, broker.App)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !strings.Contains(text, "Route connection created") {
		t.Errorf("the log lacks the server's notices:\n%s", text)
	}
	for what, secret := range map[string]string{"cookie": string(testCookie), "password": broker.Secret(a)} {
		if strings.Contains(text, secret) {
			t.Errorf("the log shows the %s", what)
		}
	}
	if strings.Contains(text, `"level":"warn"`) || strings.Contains(text, `"level":"error"`) {
		t.Errorf("a clean run warns:\n%s", text)
	}
}

type syncBuffer struct {
	mu  sync.Mutex // guards the field below
	buf bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func lesser(port, limit string) string {
	p, err := net.LookupPort("tcp", port)
	if err != nil || p+50 > 65535 {
		return limit
	}
	return strings.TrimSpace(itoa(p + 50))
}

// TestStartGivesUpWithItsContext cancels at every stage of a start. Whatever stage it was, nothing may be left running:
// a server that is shut down before its listener is bound leaves the listener open.
func TestStartGivesUpWithItsContext(t *testing.T) {
	for i := range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*50*time.Microsecond)
		b, err := broker.Start(ctx, broker.Config{Mesh: "test", ServerName: "a", Cookie: testCookie})
		cancel()
		if err == nil {
			_ = b.Close()
		} else if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Start: %v", err)
		}
	}
}
