package broker_test

import (
	"context"
	"fmt"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/nats-io/nats.go"
)

// Two servers in one process, linked over loopback. A subscription on one answers a request from the other.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cookie := []byte("a secret of 16 bytes or more")

	first, err := broker.Start(ctx, broker.Config{Mesh: "demo", ServerName: "first", Cookie: cookie})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer first.Close()
	second, err := broker.Start(ctx, broker.Config{
		Mesh: "demo", ServerName: "second", Cookie: cookie, Routes: []string{first.Addr()},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer second.Close()

	there, err := first.Connect(broker.App)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := there.Subscribe("greet", func(m *nats.Msg) { _ = m.Respond([]byte("hello, " + string(m.Data))) }); err != nil {
		fmt.Println(err)
		return
	}
	here, err := second.Connect(broker.App)
	if err != nil {
		fmt.Println(err)
		return
	}
	for ctx.Err() == nil {
		answer, err := here.RequestWithContext(ctx, "greet", []byte("world"))
		if err == nil {
			fmt.Println(string(answer.Data))
			return
		}
		// nats.ErrNoResponders until the route is up and has carried the subscription over.
	}
	// Output: hello, world
}
