package broker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

func TestParseListen(t *testing.T) {
	rows := []struct {
		in   string
		want listenAddr
		ok   bool
	}{
		{"127.0.0.1:0", listenAddr{"127.0.0.1", 0, 0}, true},
		{"[::1]:7", listenAddr{"::1", 7, 7}, true},
		{":4000-4010", listenAddr{"0.0.0.0", 4000, 4010}, true},
		{"host:65535", listenAddr{"host", 65535, 65535}, true},
		{"host:65536", listenAddr{}, false},
		{"host:0-5", listenAddr{}, false},
		{"host:10-9", listenAddr{}, false},
		{"host:1-5000", listenAddr{}, false},
		{"host:-1", listenAddr{}, false},
		{"host:x", listenAddr{}, false},
		{"host", listenAddr{}, false},
		{"", listenAddr{}, false},
	}
	for _, row := range rows {
		t.Run("listen_"+row.in, func(t *testing.T) {
			got, err := parseListen(row.in)
			if row.ok != (err == nil) || got != row.want {
				t.Errorf("parseListen(%q) = %+v, %v", row.in, got, err)
			}
			if err != nil && !errors.Is(err, ErrBadConfig) {
				t.Errorf("error %v is not %v", err, ErrBadConfig)
			}
		})
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "localhost": true,
		"0.0.0.0": false, "::": false, "192.0.2.1": false, "example.org": false, "": false,
	} {
		if got := (listenAddr{host: host}).isLoopback(); got != want {
			t.Errorf("%q on loopback: %v", host, got)
		}
	}
}

// TestSeeds: what the server is given to dial, where an address has a zone too.
func TestSeeds(t *testing.T) {
	b := newBroker(Config{})
	for addr, want := range map[string]string{
		"[fe80::1%eth0]:7000": "nats-route://[fe80::1%25eth0]:7000/", "[fe80::1%25]:7": "nats-route://[fe80::1%2525]:7/",
		"10.0.0.1:7000": "nats-route://10.0.0.1:7000/", "[::1]:7": "nats-route://[::1]:7/",
	} {
		list, err := b.nextSeeds([]string{addr}, nil)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		u := list[0].url
		if text := strings.TrimRight(u.String(), "0123456789"); text != want || u.Host != addr {
			t.Errorf("%s: the URL %s, which dials %s", addr, text, u.Host)
		}
	}
	for _, addr := range []string{"h:http", "h:0", ":7000", "h%a:1", "h h:1", "[::1", "h"} {
		if err := CheckAddr(addr); !errors.Is(err, ErrBadConfig) {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

// TestTimeoutsAreSlowerThanTicks is decision 9: a route must not end for silence before the ticks have judged it.
func TestTimeoutsAreSlowerThanTicks(t *testing.T) {
	for _, window := range []time.Duration{time.Millisecond, 4 * time.Second, 6 * time.Second, 29 * time.Second,
		31 * time.Second, time.Minute, 10 * time.Minute, time.Hour} {
		ping, pings, deadline := routeTimeouts(window)
		if ping > maxPing || ping < minPing {
			t.Errorf("window %v: ping every %v", window, ping)
		}
		if stale := ping * time.Duration(pings); stale <= window {
			t.Errorf("window %v: a silent route may end after %v", window, stale)
		}
		if deadline <= window {
			t.Errorf("window %v: write deadline %v", window, deadline)
		}
	}
}

// TestAbout: which lines strangers can repeat.
func TestAbout(t *testing.T) {
	for _, c := range []struct {
		format string
		v      []any
		want   string
	}{
		{"1.2.3.4:5 - cid:6 - " + server.ErrAuthentication.Error(), nil, "cid"},
		{`1.2.3.4:5 - cid:6 - "v1:go" - Client parser ERROR, state=%d`, []any{0}, "cid"},
		{"[::1]:5 - rid:6 - TLS handshake timeout", nil, "rid"},
		{"1.2.3.4:5 - lid_ws:6 - Leafnode Error %s", []any{"x"}, "lid_ws"},
		{"%s - %s%s", []any{"1.2.3.4:5 - lid:6", "statement", ""}, "lid"},
		{"pipe - cid:1 - Slow Consumer", nil, ""},
		{"JETSTREAM - failed: %v", []any{"x"}, ""},
		{"Readloop: %s", []any{"1.2.3.4:5 - cid:6"}, ""},
	} {
		if got := about(c.format, c.v); got != c.want {
			t.Errorf("%q is about %q, want %q", c.format, got, c.want)
		}
	}
}

// TestReasons pins which endings count as the peer's.
func TestReasons(t *testing.T) {
	byPeer := map[server.ClosedState]bool{server.ClientClosed: true, server.ReadError: true, server.WriteError: true}
	for state := server.ClientClosed; state <= server.ProxyRequired; state++ {
		var got []RouteEvent
		l := newServerLog(zerolog.Logger{}, nil, func(ev RouteEvent) { got = append(got, ev) })
		l.Noticef("1.2.3.4:5 - rid:6 - "+formatClosedBy, "Router", state, "Remote: peer")
		if state == server.TLSHandshakeError {
			if len(got) != 0 {
				t.Errorf("%v is reported twice: %+v", state, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Remote != "peer" || got[0].ByPeer != byPeer[state] {
			t.Errorf("%v: %+v", state, got)
		}
	}
}

// FuzzIntroduction reads what anybody may answer.
func FuzzIntroduction(f *testing.F) {
	f.Add([]byte(`INFO {"server_id":"N","server_name":"a","cluster":"test"}` + "\r\n"))
	f.Add([]byte("INFO {}\r\n"))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		found, err := introduction(line, "addr", "test")
		if err == nil && (found.ServerName == "" || found.ServerID == "" || found.Mesh != "test") {
			t.Errorf("accepted %q as %+v", line, found)
		}
		if err != nil && !errors.Is(err, ErrNotNode) && !errors.Is(err, ErrMesh) {
			t.Errorf("error %v", err)
		}
	})
}
