package pg_test

import (
	"context"
	"fmt"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

// One node, one group: a process joins, is seen, and gets what is broadcast.
func Example() {
	ctx := context.Background()
	n, err := node.Start(ctx, node.Config{Name: "alice@127.0.0.1", Cookie: []byte("a secret of 16 bytes or more")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	processes, _ := process.New(n)
	groups, _ := pg.New(processes)
	scope, _ := groups.Scope(pg.DefaultScope)

	monitor, members := scope.Monitor("lobby")
	defer monitor.Close()
	fmt.Println("members at first:", len(members))

	heard := make(chan any)
	member := processes.Spawn(func(self *process.Process) error {
		msg, err := self.Receive(self.Context())
		heard <- msg
		return err
	})
	_ = scope.JoinWith("lobby", pg.Meta{"nick": "alice"}, member)
	event := <-monitor.Events()
	fmt.Println(event.Kind, event.Group, event.Meta[member]["nick"])

	delivery, _ := scope.Broadcast(ctx, "lobby", "hello")
	fmt.Println("sent to", delivery.Members, "member on", delivery.Nodes, "node:", <-heard)

	event = <-monitor.Events() // the process has ended: what dies leaves
	fmt.Println(event.Kind, event.Group, "members left:", len(scope.Members("lobby")))
	// Output:
	// members at first: 0
	// joined lobby alice
	// sent to 1 member on 1 node: hello
	// left lobby members left: 0
}

// A call to all members yields an answer, or the reason why there is none, for each of them.
func ExampleScope_CallAll() {
	ctx := context.Background()
	n, err := node.Start(ctx, node.Config{Name: "bob@127.0.0.1", Cookie: []byte("a secret of 16 bytes or more")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	processes, _ := process.New(n)
	groups, _ := pg.New(processes)
	scope, _ := groups.Scope(pg.DefaultScope)
	worker := processes.Spawn(func(self *process.Process) error {
		msg, err := self.Receive(self.Context())
		if err != nil {
			return err
		}
		call := msg.(*pg.Call)
		return call.Reply(ctx, self.PID(), call.Msg.(int)*2)
	})
	_ = scope.Join("workers", worker)
	for reply, err := range scope.CallAll(ctx, "workers", 21) {
		fmt.Println(reply.Value, err)
	}
	// Output:
	// 42 <nil>
}
