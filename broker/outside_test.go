package broker

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func outsideConfig(name string, routes ...string) Config {
	return Config{
		Mesh: "outside", ServerName: name, Cookie: []byte("a cookie for the outside"), Routes: routes,
		Clients: &Clients{Listen: "127.0.0.1:0", Users: []ClientUser{{Name: "guest", Password: "let me in"}}},
	}
}

func TestClientsRefuses(t *testing.T) {
	user := []ClientUser{{Name: "guest", Password: "let me in"}}
	rows := []struct {
		name    string
		clients Clients
		want    error
	}{
		{"not-loopback", Clients{Listen: "0.0.0.0:0", Users: user}, ErrInsecure},
		{"nobody", Clients{Listen: "127.0.0.1:0"}, ErrBadConfig},
		{"short-password", Clients{Listen: "127.0.0.1:0", Users: []ClientUser{{Name: "guest", Password: "short"}}}, ErrBadConfig},
		{"account-name", Clients{Listen: "127.0.0.1:0", Users: []ClientUser{{Name: "APP", Password: "long enough"}}}, ErrBadConfig},
		{"range", Clients{Listen: "127.0.0.1:1-5", Users: user}, ErrBadConfig},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cfg := outsideConfig("x")
			cfg.Clients = &row.clients
			if b, err := Start(t.Context(), cfg); !errors.Is(err, row.want) {
				t.Fatalf("got %v, %v", b, err)
			}
		})
	}
}

// TestClients connects as an outsider: with the password only, to its own account only, with its own subjects only; and
// what it says stays on this server.
func TestClients(t *testing.T) {
	one, err := Start(t.Context(), outsideConfig("one"))
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	two, err := Start(t.Context(), outsideConfig("two", one.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if _, err := nats.Connect("nats://" + one.ClientAddr()); !errors.Is(err, nats.ErrAuthorization) {
		t.Fatalf("without a password: %v", err)
	}
	refused := make(chan error, 8)
	guest, err := nats.Connect("nats://"+one.ClientAddr(), nats.UserInfo("guest", "let me in"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer guest.Close()
	for _, subject := range []string{"kith.f.0000000000000000", "kith.c.>", "$SYS.>", "$JS.API.>"} {
		if _, err := guest.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		if err := <-refused; !errors.Is(err, nats.ErrPermissionViolation) {
			t.Fatalf("%s: %v", subject, err)
		}
	}
	inside, err := one.Connect(Outside)
	if err != nil {
		t.Fatal(err)
	}
	heard, err := inside.SubscribeSync("kith.fn.>")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := two.Connect(Outside)
	if err != nil {
		t.Fatal(err)
	}
	far, err := elsewhere.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	if err := inside.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := guest.Publish("kith.fn.echo", []byte("hi")); err != nil {
		t.Fatal(err)
	}
	if m, err := heard.NextMsg(5 * time.Second); err != nil || string(m.Data) != "hi" {
		t.Fatal(m, err)
	}
	// A question of service tools does cross: once it has, the call before it would have been there.
	for {
		if err := guest.Publish("$SRV.PING", nil); err != nil {
			t.Fatal(err)
		}
		m, err := far.NextMsg(50 * time.Millisecond)
		if err == nil {
			if m.Subject != "$SRV.PING" {
				t.Fatalf("%s crossed a route", m.Subject)
			}
			break
		}
	}
	if _, err := guest.SubscribeSync("kith.group.news"); err != nil {
		t.Fatal(err)
	}
	if err := guest.Flush(); err != nil {
		t.Fatal(err)
	}
	subjects, err := one.OutsideSubjects()
	if err != nil || !slices.Contains(subjects, "kith.group.news") {
		t.Fatal(subjects, err)
	}
	for i := range MaxOutsideSubjects {
		if _, err := guest.SubscribeSync(fmt.Sprintf("kith.group.a%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := guest.Flush(); err != nil {
		t.Fatal(err)
	}
	subjects, err = one.OutsideSubjects()
	if err != nil || slices.Contains(subjects, "kith.group.news") || !slices.Contains(subjects, "kith.group.a9999") {
		t.Fatalf("one client's %d subjects are looked at: %v", len(subjects), err)
	}
	if one.OutsideChanges() == 0 {
		t.Fatal("no subscriptions counted")
	}
	if err := one.SetRoutes([]string{two.Addr()}); err != nil {
		t.Fatal(err)
	}
	if err := guest.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal("a reload cut the client:", err)
	}
}
