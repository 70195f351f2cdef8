package node

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

type rec struct{ got chan string }

func (r *rec) PeerUp(p Peer)             { r.got <- "up " + p.Name }
func (r *rec) Frame(p Peer, b []byte)    { r.got <- string(b) }
func (r *rec) PeerDown(p Peer, w Reason) { r.got <- "down " + p.Name + " " + string(w) }

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	var nodes []*Node
	for i := range 3 {
		begin := time.Now()
		n, err := Start(context.Background(), Config{Name: fmt.Sprintf("n%d@127.0.0.1", i), Cookie: []byte("0123456789abcdef0"), DataDir: dir, Tick: 200 * time.Millisecond, Log: zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr}).Level(zerolog.InfoLevel)})
		if err != nil {
			t.Fatal(err)
		}
		t.Log("start", time.Since(begin))
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		ctx, c := context.WithTimeout(context.Background(), 3*time.Second)
		if err := n.WaitPeers(ctx, 2); err != nil {
			t.Fatal(err)
		}
		c()
	}
	r := &rec{make(chan string, 100)}
	if err := nodes[1].Handle(ProtocolUser, r); err != nil {
		t.Fatal(err)
	}
	if err := nodes[0].Handle(ProtocolUser, &rec{make(chan string, 100)}); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := nodes[0].Send(context.Background(), ID{Name: nodes[1].Name()}, ProtocolUser, 0, []byte(fmt.Sprint("m", i))); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := nodes[2].Ping(context.Background(), nodes[0].Name()); err != nil {
		t.Fatal(err)
	} else {
		t.Log("ping", d)
	}
	big := make([]byte, 3<<20)
	if err := nodes[0].Send(context.Background(), ID{Name: nodes[1].Name()}, ProtocolUser, 0, big); err != nil {
		t.Fatal(err)
	}
	for range 7 {
		s := <-r.got
		t.Log(len(s), s[:min(len(s), 20)])
	}
	begin := time.Now()
	if err := nodes[0].Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Log("shutdown", time.Since(begin))
	t.Log(<-r.got)
	nodes[2].Close()
	nodes[1].Close()
}
