package history_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/kith-mesh/kith/history"
	"github.com/kith-mesh/kith/node"
)

// freeAddrs are loopback addresses where nobody listens; real programs know where their stores are.
func freeAddrs(names ...string) map[string]string {
	addrs := map[string]string{}
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(err)
		defer l.Close() // not before the others have another one
		addrs[name] = l.Addr().String()
	}
	return addrs
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// Three store nodes: what one appends, another reads, page by page and as it comes. What is appended twice with one ID is
// kept once.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "kith")
	check(err)
	defer os.RemoveAll(dir)
	stores := freeAddrs("a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1")
	var logs []*history.Log
	for name := range stores {
		n, err := node.Start(ctx, node.Config{
			Name: name, Cookie: []byte("32 random bytes in real programs"), DataDir: dir, Store: stores,
		})
		check(err)
		defer n.Close()
		log, err := history.New(n, history.Config{Name: "audit", MaxAge: 24 * time.Hour, MaxBytes: 1 << 20})
		check(err)
		logs = append(logs, log)
	}
	writer, reader := logs[0], logs[1]

	opened := history.Record{Topic: "door/7", ID: "event-1", Data: []byte("opened")}
	check(writer.Append(ctx, opened))
	check(writer.Append(ctx, opened, history.Record{Topic: "door/7", ID: "event-2", Data: []byte("closed")}))

	var last uint64
	for entry, err := range reader.Follow(ctx, "door/7", 0) {
		check(err)
		fmt.Printf("%s %s\n", entry.ID, entry.Data)
		if last = entry.Seq; entry.ID == "event-2" {
			break
		}
	}
	older, err := writer.Before(ctx, "door/7", last, 10)
	fmt.Println(len(older), string(older[0].Data), err)
	// Output:
	// event-1 opened
	// event-2 closed
	// 1 opened <nil>
}
