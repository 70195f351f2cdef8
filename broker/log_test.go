package broker_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/broker"
)

// TestStrangersDoNotFillTheLog: whoever reaches a port may be refused as often as he likes, and is told of once in a while.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	var out syncBuffer
	b := start(t, "a", func(c *broker.Config) {
		c.Log = zerolog.New(&out)
		c.Clients = &broker.Clients{Listen: "127.0.0.1:0", Users: []broker.ClientUser{{Name: "guest", Password: "let me in"}}}
	})
	const knocks = 100
	knock := func(addr, what string) {
		t.Helper()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, what); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // until it is thrown out
	}
	for range knocks {
		knock(b.ClientAddr(), "CONNECT {\"user\":\"guest\",\"pass\":\"let me out\"}\r\nPING\r\n")
		knock(b.ClientAddr(), "GET / HTTP/1.1\r\n\r\n")
		knock(b.Addr(), "GET / HTTP/1.1\r\n\r\n")
	}
	eventually(t, "the last line", func() bool {
		return strings.Count(out.String(), "authentication error") >= knocks && strings.Count(out.String(), "handshake error") >= knocks
	})
	if warnings := strings.Count(out.String(), `"level":"warn"`); warnings == 0 || warnings > 5 {
		t.Errorf("%d warnings of %d knocks at three doors", warnings, knocks)
	}
}
