package broker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/internal/natstest"
)

func external(urls ...string) func(*broker.Config) {
	return func(c *broker.Config) { c.Mode, c.Servers, c.Cookie = broker.External, urls, nil }
}

func TestExternal(t *testing.T) {
	cluster := natstest.Start(t, 2, "")
	t.Run("messages_cross", func(t *testing.T) {
		var seen events
		a := start(t, "a", external(cluster.URL(0)), watch(&seen))
		b := start(t, "b", external(cluster.URL(1)))
		if !a.Linked() || a.Routed() || a.Addr() != "" || a.Prefix() != "kith-test." {
			t.Errorf("linked %v, routed %v, at %q, prefix %q", a.Linked(), a.Routed(), a.Addr(), a.Prefix())
		}
		if list, err := a.Routes(); err != nil || len(list) != 0 || a.NumRemotes() != 0 {
			t.Errorf("routes %v, %v", list, err)
		}
		if err := a.SetRoutes([]string{"127.0.0.1:1"}); !errors.Is(err, broker.ErrBadConfig) {
			t.Errorf("SetRoutes: %v", err)
		}
		near, far := connect(t, a, broker.App), connect(t, b, broker.App)
		if _, err := far.Subscribe("here", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil || far.Flush() != nil {
			t.Fatal(err)
		}
		eventually(t, "an answer", func() bool { _, err := near.Request("here", nil, time.Second); return err == nil })
		if err := b.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "nobody", func() bool {
			_, err := near.Request("here", nil, time.Second)
			return errors.Is(err, nats.ErrNoResponders)
		})
		if _, err := b.Connect(broker.App); !errors.Is(err, broker.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
	t.Run("a_server_that_dies_is_told_and_another_takes_over", func(t *testing.T) {
		var seen events
		a := start(t, "a", external(cluster.URL(0)), watch(&seen))
		wake := func(e broker.RouteEvent) bool { return e.Kind == broker.RouteUnknown }
		cluster.Kill(0)
		eventually(t, "a wake-up", func() bool { return seen.has(wake) })
		eventually(t, "the link", a.Linked)
		cluster.Restart(0)
	})
	t.Run("goes_to_the_next_server", func(t *testing.T) {
		a := start(t, "a", external("nats://127.0.0.1:1", cluster.URL(1)))
		if !a.Linked() {
			t.Error("not linked")
		}
	})
	t.Run("nobody_there", func(t *testing.T) {
		cfg := broker.Config{Mesh: "test", ServerName: "x", Mode: broker.External, Servers: []string{"nats://ann:secret@127.0.0.1:1"}}
		_, err := broker.Start(t.Context(), cfg)
		if !errors.Is(err, broker.ErrNoServer) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
	})
	t.Run("no_url", func(t *testing.T) {
		cfg := broker.Config{Mesh: "test", ServerName: "x", Mode: broker.External, Servers: []string{"nats://ann:secret%zz@127.0.0.1:1"}}
		_, err := broker.Start(t.Context(), cfg)
		if !errors.Is(err, broker.ErrBadConfig) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
	})
	t.Run("the_context_ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := broker.Start(ctx, broker.Config{Mesh: "test", ServerName: "x", Mode: broker.External, Servers: cluster.URLs()}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// TestExternalPassword: a cluster that refuses a node for a while, as one does whose passwords are changed in the wrong
// order, has it back afterwards. nats.go closes a connection for good that one server refuses twice unless told otherwise.
func TestExternalPassword(t *testing.T) {
	const right, wrong = "authorization { user: ann, password: right }", "authorization { user: ann, password: wrong }"
	cluster := natstest.Start(t, 1, right)
	a := start(t, "a", external(strings.Replace(cluster.URL(0), "nats://", "nats://ann:right@", 1)))
	refused := make(chan struct{}, 100)
	app, err := a.Connect(broker.App, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrAuthorization) {
			select {
			case refused <- struct{}{}:
			default:
			}
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	cluster.Kill(0)
	cluster.Configure(wrong)
	cluster.Restart(0)
	for range 3 {
		select {
		case <-refused:
		case <-time.After(within):
			t.Fatalf("it does not try again: %v, %v", app.Status(), app.LastError())
		}
	}
	cluster.Kill(0)
	cluster.Configure(right)
	cluster.Restart(0)
	eventually(t, "the link", a.Linked)
	eventually(t, "the other connection", app.IsConnected)
}

func TestExternalRefused(t *testing.T) {
	cluster := natstest.Start(t, 1, "max_payload: 100000\nauthorization { user: ann, password: a-long-secret }")
	for name, c := range map[string]struct {
		user string
		want error
		says string
	}{
		"no_credentials":    {"", broker.ErrNoServer, "credentials"},
		"wrong_credentials": {"ann:wrong@", broker.ErrNoServer, "credentials"},
		"small_messages":    {"ann:a-long-secret@", broker.ErrBadConfig, "max_payload"},
	} {
		t.Run(name, func(t *testing.T) {
			url := strings.Replace(cluster.URL(0), "nats://", "nats://"+c.user, 1)
			_, err := broker.Start(t.Context(), broker.Config{Mesh: "test", ServerName: "x", Mode: broker.External, Servers: []string{url}})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "long-secret") {
				t.Errorf("%v", err)
			}
		})
	}
}
