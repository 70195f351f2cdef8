package broker_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/meshtest"
)

// TestClientUsers lets two users in over TLS, each to its own subjects.
func TestClientUsers(t *testing.T) {
	home := meshtest.NewAuthority(t)
	b := start(t, "a", func(c *broker.Config) {
		c.Clients = &broker.Clients{
			Listen: "0.0.0.0:0", TLS: &tls.Config{Certificates: []tls.Certificate{home.Issue("127.0.0.1").Own}},
			Users: []broker.ClientUser{
				{Name: "reader", Password: "long enough", Publish: []string{}, Subscribe: []string{"kith.group.news.>"}},
				{Name: "caller", Password: "long enough", Publish: []string{"kith.fn.>"}, DenyPublish: []string{"kith.fn.kith.stop"}},
			},
		}
	})
	addr := "tls://127.0.0.1" + b.ClientAddr()[strings.LastIndexByte(b.ClientAddr(), ':'):]
	trust := nats.Secure(&tls.Config{RootCAs: home.Roots()})
	if nc, err := nats.Connect(addr, nats.UserInfo("reader", "long enough")); err == nil {
		nc.Close()
		t.Error("a client that does not trust the certificate is connected")
	}
	if nc, err := nats.Connect(addr, nats.UserInfo("reader", "another word"), trust); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("a wrong password: %v, %v", nc, err)
	}
	for user, rows := range map[string]map[string]bool{
		"reader": {"pub kith.fn.x": false, "pub kith.broadcast.news.x": false, "sub kith.group.news.x": true, "sub kith.group.other": false, "sub >": false},
		"caller": {"pub kith.fn.x": true, "pub kith.fn.kith.stop": false, "pub kith.broadcast.x": false, "sub kith.group.x": true, "sub kith.f.>": false},
	} {
		nc, err := nats.Connect(addr, nats.UserInfo(user, "long enough"), trust)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		for what, want := range rows {
			verb, subject, _ := strings.Cut(what, " ")
			if verb == "pub" {
				err = nc.Publish(subject, nil)
			} else {
				_, err = nc.SubscribeSync(subject)
			}
			if err == nil {
				err = nc.FlushTimeout(within)
			}
			if err != nil {
				t.Fatal(err)
			}
			// A refusal comes before the answer to the flush.
			last := nc.LastError()
			got := !errors.Is(last, nats.ErrPermissionViolation) || !strings.Contains(last.Error(), `"`+subject+`"`)
			if got != want {
				t.Errorf("%s may %s: %v", user, what, got)
			}
		}
	}
}

func TestClientSubjectsAreChecked(t *testing.T) {
	for _, bad := range []string{"", "a b", "a..b", ".a", "a.>.b"} {
		for _, u := range []broker.ClientUser{
			{Publish: []string{bad}}, {Subscribe: []string{bad}}, {DenyPublish: []string{bad}}, {DenySubscribe: []string{bad}},
		} {
			u.Name, u.Password = "guest", "long enough"
			b, err := broker.Start(t.Context(), broker.Config{
				Mesh: "test", ServerName: "a", Cookie: testCookie, Clients: &broker.Clients{Listen: "127.0.0.1:0", Users: []broker.ClientUser{u}},
			})
			if b != nil {
				_ = b.Close()
			}
			if !errors.Is(err, broker.ErrBadConfig) || !strings.Contains(err.Error(), "guest") {
				t.Errorf("%q: %v", bad, err)
			}
		}
	}
	twice := []broker.ClientUser{{Name: "guest", Password: "long enough"}, {Name: "guest", Password: "another one"}}
	if b, err := broker.Start(t.Context(), broker.Config{
		Mesh: "test", ServerName: "a", Cookie: testCookie, Clients: &broker.Clients{Listen: "127.0.0.1:0", Users: twice},
	}); !errors.Is(err, broker.ErrBadConfig) {
		t.Errorf("a user that is there twice: %v, %v", b, err)
	}
}
