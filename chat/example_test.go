package chat_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kith-mesh/kith/chat"
	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// A script chats: it says a line and leaves. Whoever else is in the room would read it, and be read.
func Example() {
	ctx := context.Background()
	n, err := node.Start(ctx, node.Config{Name: "example@127.0.0.1", Cookie: []byte("an example, not a secret")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Shutdown(ctx) // waits until what was said has left this node
	runtime, err1 := process.New(n)
	calls, err2 := rpc.New(n)
	names, err3 := global.New(runtime)
	if err := errors.Join(err1, err2, err3); err != nil {
		fmt.Println(err)
		return
	}
	groups, err := pg.New(runtime)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = chat.Run(ctx, chat.Config{
		Runtime: runtime, Groups: groups, Calls: calls, Names: names, Nick: "ann",
		In: strings.NewReader("the build is green\n/who\n"), Out: os.Stdout,
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// * connected as ann on example@127.0.0.1
	// * lobby: ann
	// [lobby] ann: the build is green
	// * lobby: ann
}
