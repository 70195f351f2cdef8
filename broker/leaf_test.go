package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/broker"
)

func leafPort(c *broker.Config) { c.LeafListen = "127.0.0.1:0" }

// TestLeafDown: either end learns that the other's is closed, and whose it was.
func TestLeafDown(t *testing.T) {
	down := func(server string) func(broker.RouteEvent) bool {
		return func(e broker.RouteEvent) bool { return e.Kind == broker.LeafDown && e.Remote == server && e.ByPeer }
	}
	var atHub, atLeaf events
	hub := start(t, "hub", leafPort, watch(&atHub))
	first, second := start(t, "first", leafOf(hub)), start(t, "second", leafOf(hub), watch(&atLeaf))
	eventually(t, "leaf connections", func() bool { return first.Linked() && second.Linked() })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the first", func() bool { return atHub.has(down("first")) })
	if atHub.has(down("second")) {
		t.Error("the second is said to be gone too")
	}
	if err := hub.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the hub", func() bool { return atLeaf.has(down("hub")) && !second.Linked() })
}

func leafOf(hubs ...*broker.Broker) func(*broker.Config) {
	return func(c *broker.Config) {
		c.Mode = broker.Leaf
		for _, h := range hubs {
			c.Servers = append(c.Servers, h.LeafAddr())
		}
	}
}

// leaves starts two servers of a cluster, the first with a leaf port, and a leaf of it.
func leaves(t *testing.T) (hub, other, leaf *broker.Broker) {
	t.Helper()
	hub = start(t, "hub", leafPort)
	other = start(t, "other", routes(hub.Addr()))
	leaf = start(t, "leaf", leafOf(hub))
	eventually(t, "route", func() bool { return linked(hub, "other") })
	eventually(t, "leaf connections", leaf.Linked)
	return hub, other, leaf
}

func TestLeaf(t *testing.T) {
	t.Run("interest_travels_in_order", func(t *testing.T) {
		hub, other, leaf := leaves(t)
		for _, at := range []*broker.Broker{hub, other} {
			far, near := connect(t, at, broker.App), connect(t, leaf, broker.App)
			// The far side answers on a subject as soon as it is told of it: whoever told had subscribed before.
			_, err := far.Subscribe("told", func(m *nats.Msg) { _ = far.Publish(string(m.Data), nil) })
			if err != nil || far.Flush() != nil {
				t.Fatal(err)
			}
			eventually(t, "the far subscription", func() bool {
				_, err := near.Request("told", []byte("nowhere"), 10*time.Millisecond)
				return !errors.Is(err, nats.ErrNoResponders)
			})
			for i := range 300 {
				subject := fmt.Sprintf("answer.%d", i)
				sub, err := near.SubscribeSync(subject)
				if err != nil || near.Publish("told", []byte(subject)) != nil {
					t.Fatal(err)
				}
				if _, err := sub.NextMsg(within); err != nil {
					t.Fatalf("answer %d: %v", i, err)
				}
				_ = sub.Unsubscribe()
			}
		}
	})
	t.Run("messages_arrive_in_order", func(t *testing.T) {
		_, other, leaf := leaves(t)
		for _, pair := range [][2]*broker.Broker{{other, leaf}, {leaf, other}} {
			from, to := connect(t, pair[0], broker.App), connect(t, pair[1], broker.App)
			sub, err := to.SubscribeSync("n")
			if err != nil || to.Flush() != nil {
				t.Fatal(err)
			}
			eventually(t, "the subscription", func() bool {
				_, err := from.Request("n", nil, 10*time.Millisecond)
				return !errors.Is(err, nats.ErrNoResponders)
			})
			for i := range 5000 {
				if err := from.Publish("n", fmt.Append(nil, i)); err != nil {
					t.Fatal(err)
				}
			}
			for next := 0; next < 5000; {
				m, err := sub.NextMsg(within)
				if err != nil {
					t.Fatal(err)
				}
				if len(m.Data) == 0 {
					continue // the question before
				}
				if string(m.Data) != fmt.Sprint(next) {
					t.Fatalf("%s where %d is due", m.Data, next)
				}
				next++
			}
		}
	})
	t.Run("nobody_answers_for_one_that_is_gone", func(t *testing.T) {
		_, other, leaf := leaves(t)
		near, far := connect(t, leaf, broker.Control), connect(t, other, broker.Control)
		if _, err := near.Subscribe("here", func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil {
			t.Fatal(err)
		}
		eventually(t, "an answer", func() bool { _, err := far.Request("here", nil, time.Second); return err == nil })
		if err := leaf.Close(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the word that nobody is there", func() bool {
			_, err := far.Request("here", nil, time.Second)
			return errors.Is(err, nats.ErrNoResponders)
		})
	})
	t.Run("a_reload_of_the_hub_leaves_it_alone", func(t *testing.T) {
		hub, other, leaf := leaves(t)
		third := start(t, "third")
		near, far := connect(t, leaf, broker.App), connect(t, other, broker.App)
		sub, err := near.SubscribeSync("n")
		if err != nil || near.Flush() != nil {
			t.Fatal(err)
		}
		eventually(t, "the subscription", func() bool {
			_, err := far.Request("n", nil, 10*time.Millisecond)
			return !errors.Is(err, nats.ErrNoResponders)
		})
		if err := hub.SetRoutes([]string{third.Addr()}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the new route", func() bool { return linked(hub, "third") })
		if err := far.Publish("n", []byte("after")); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := sub.NextMsg(within)
			if err != nil {
				t.Fatal(err)
			}
			if string(m.Data) == "after" {
				break
			}
		}
		if !leaf.Linked() {
			t.Error("the leaf lost its connections")
		}
	})
	t.Run("goes_to_the_next_server", func(t *testing.T) {
		a, b := start(t, "a", leafPort), start(t, "b", leafPort)
		leaf := start(t, "leaf", leafOf(a, b))
		eventually(t, "leaf connections", leaf.Linked)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		far, near := connect(t, b, broker.App), connect(t, leaf, broker.App)
		if _, err := far.Subscribe("here", func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil {
			t.Fatal(err)
		}
		eventually(t, "an answer from the other", func() bool { _, err := near.Request("here", nil, time.Second); return err == nil })
	})
	t.Run("keeps_its_own_clients", func(t *testing.T) {
		hub, _, leaf := leaves(t)
		near, far := connect(t, leaf, broker.Outside), connect(t, hub, broker.Outside)
		if _, err := near.Subscribe("here", func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil || near.Flush() != nil {
			t.Fatal(err)
		}
		if _, err := far.Request("here", nil, 100*time.Millisecond); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("the account of clients crosses: %v", err)
		}
	})
}

func TestLeafRefused(t *testing.T) {
	hub := start(t, "hub", leafPort)
	for name, change := range map[string]func(*broker.Config){
		"another_cookie": func(c *broker.Config) { c.Cookie = []byte("another cookie altogether") },
		"another_mesh":   func(c *broker.Config) { c.Mesh = "other" },
		"no_TLS":         func(c *broker.Config) { c.Plaintext = true },
		// The cluster's own port is not for leaf nodes, whatever they know.
		"the_cluster_port": func(c *broker.Config) { c.Servers = []string{hub.Addr()} },
	} {
		t.Run(name, func(t *testing.T) {
			leaf := start(t, "leaf", leafOf(hub), change)
			nc := connect(t, leaf, broker.App)
			far := connect(t, hub, broker.App)
			if _, err := far.Subscribe("here", func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil || far.Flush() != nil {
				t.Fatal(err)
			}
			if _, err := nc.Request("here", nil, 300*time.Millisecond); !errors.Is(err, nats.ErrNoResponders) || leaf.Linked() {
				t.Errorf("linked %v, %v", leaf.Linked(), err)
			}
		})
	}
	t.Run("a_route_to_the_leaf_port", func(t *testing.T) {
		b := start(t, "b", routes(hub.LeafAddr()))
		_, err := broker.Probe(t.Context(), hub.LeafAddr(), broker.ProbeConfig{Mesh: "test", Cookie: testCookie})
		if err == nil || linked(b, "hub") {
			t.Errorf("linked, %v", err)
		}
	})
}

func TestModeConfig(t *testing.T) {
	for name, change := range map[string]func(*broker.Config){
		"no_such_mode":             func(c *broker.Config) { c.Mode = 9 },
		"servers_of_an_embedded":   func(c *broker.Config) { c.Servers = []string{"127.0.0.1:1"} },
		"leaf_without_servers":     func(c *broker.Config) { c.Mode = broker.Leaf },
		"leaf_with_a_leaf_port":    func(c *broker.Config) { c.Mode, c.Servers, c.LeafListen = broker.Leaf, []string{"h:1"}, "127.0.0.1:0" },
		"leaf_with_routes":         func(c *broker.Config) { c.Mode, c.Servers, c.Routes = broker.Leaf, []string{"h:1"}, []string{"h:2"} },
		"leaf_of_a_bad_address":    func(c *broker.Config) { c.Mode, c.Servers = broker.Leaf, []string{"nonsense"} },
		"external_without_servers": func(c *broker.Config) { c.Mode = broker.External },
		"external_with_a_bad_URL":  func(c *broker.Config) { c.Mode, c.Servers = broker.External, []string{"http://h:1"} },
		"external_with_clients": func(c *broker.Config) {
			c.Mode, c.Servers, c.Clients = broker.External, []string{"nats://h:1"}, &broker.Clients{
				Listen: "127.0.0.1:0", Users: []broker.ClientUser{{Name: "u", Password: "long enough"}},
			}
		},
		"a_range_of_leaf_ports": func(c *broker.Config) { c.LeafListen = "127.0.0.1:4000-4010" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := broker.Config{Mesh: "test", ServerName: "x", Cookie: testCookie}
			change(&cfg)
			b, err := broker.Start(context.Background(), cfg)
			if err == nil {
				_ = b.Close()
			}
			if !errors.Is(err, broker.ErrBadConfig) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("an_open_leaf_port_in_plaintext", func(t *testing.T) {
		cfg := broker.Config{Mesh: "test", ServerName: "x", Plaintext: true, LeafListen: "0.0.0.0:0"}
		if _, err := broker.Start(t.Context(), cfg); !errors.Is(err, broker.ErrInsecure) {
			t.Errorf("%v", err)
		}
	})
}
