package broker_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/kith-mesh/kith/broker"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestProbe(t *testing.T) {
	b := start(t, "alice")
	plain := start(t, "bob", func(c *broker.Config) { c.Plaintext = true })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unused := free.Addr().String()
	free.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	good := broker.ProbeConfig{Cookie: testCookie, Mesh: "test"}
	other := broker.ProbeConfig{Cookie: []byte("another cookie, long enough"), Mesh: "test"}
	rows := []struct {
		name, addr string
		cfg        broker.ProbeConfig
		want       error
	}{
		{"answers", b.Addr(), good, nil},
		{"plaintext_answers", plain.Addr(), broker.ProbeConfig{Plaintext: true, Mesh: "test"}, nil},
		{"other_cookie", b.Addr(), other, broker.ErrCookie},
		{"other_mesh", b.Addr(), broker.ProbeConfig{Cookie: testCookie, Mesh: "other"}, broker.ErrMesh},
		{"other_mesh_plaintext", plain.Addr(), broker.ProbeConfig{Plaintext: true, Mesh: "other"}, broker.ErrMesh},
		{"short_cookie", b.Addr(), broker.ProbeConfig{Cookie: []byte("x"), Mesh: "test"}, broker.ErrCookieTooShort},
		{"nobody_there", unused, good, broker.ErrNotListening},
		{"no_tls_there", plain.Addr(), good, broker.ErrNotNode},
		{"client_port", broker.ClientURL(b)[len("nats://"):], broker.ProbeConfig{Plaintext: true, Mesh: "test"}, broker.ErrNotNode},
		{"no_answer", mute.Addr().String(), good, context.DeadlineExceeded},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			limit := within
			if errors.Is(row.want, context.DeadlineExceeded) {
				limit = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			got, err := broker.Probe(ctx, row.addr, row.cfg)
			if !errors.Is(err, row.want) {
				t.Fatalf("Probe: %v, want %v", err, row.want)
			}
			if err == nil && (got.ServerName == "" || got.ServerID == "" || got.Mesh != "test") {
				t.Errorf("Probe = %+v", got)
			}
		})
	}
	if n := b.NumRemotes(); n != 0 {
		t.Errorf("probes became %d routes", n)
	}
}

func TestWrongCookieIsRefusedOnBothSides(t *testing.T) {
	var atA, atB events
	a := start(t, "a", watch(&atA))
	b := start(t, "b", watch(&atB), routes(a.Addr()), func(c *broker.Config) { c.Cookie = []byte("another cookie, long enough") })
	refused := func(ev broker.RouteEvent) bool {
		return ev.Kind == broker.RouteRefused && ev.Reason == broker.CloseTLS && hasSuffix(ev.Detail, broker.ErrCookie.Error())
	}
	eventually(t, "refusal at both", func() bool { return atA.has(refused) && atB.has(refused) })
	if a.NumRemotes() != 0 || b.NumRemotes() != 0 {
		t.Error("a route formed")
	}
}

func hasSuffix(s, suffix string) bool {
	return len(s) >= len(suffix) && s[len(s)-len(suffix):] == suffix
}
