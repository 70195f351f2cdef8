package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"os"
	"time"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/rpc"
)

// twoNodes starts two nodes that see each other, each with a server.
func twoNodes() (a, b *rpc.Server, stop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	dir, err := os.MkdirTemp("", "kith")
	if err != nil {
		log.Fatal(err)
	}
	start := func(name string) (*node.Node, *rpc.Server) {
		n, err := node.Start(ctx, node.Config{Name: name, Cookie: []byte("sixteen bytes or more"), DataDir: dir})
		if err != nil {
			log.Fatal(err)
		}
		s, err := rpc.New(n)
		if err != nil {
			log.Fatal(err)
		}
		return n, s
	}
	na, a := start("a@127.0.0.1")
	nb, b := start("b@127.0.0.1")
	if err := na.WaitPeers(ctx, 1); err != nil {
		log.Fatal(err)
	}
	return a, b, func() {
		na.Close()
		nb.Close()
		os.RemoveAll(dir)
	}
}

// One node registers a function, and another calls it by name.
func Example() {
	a, b, stop := twoNodes()
	defer stop()

	err := rpc.Register(b, "greet", func(_ context.Context, name string) (string, error) {
		if name == "" {
			return "", rpc.Errorf("no_name", "whom shall I greet?")
		}
		return "Hello, " + name + "!", nil
	})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	text, err := rpc.Call[string, string](ctx, a, "b@127.0.0.1", "greet", "Ada")
	fmt.Println(text, err)

	_, err = rpc.Call[string, string](ctx, a, "b@127.0.0.1", "greet", "")
	var remote *rpc.RemoteError
	fmt.Println(errors.As(err, &remote), remote.Kind)

	_, err = rpc.Call[string, string](ctx, a, "b@127.0.0.1", "great", "Ada")
	fmt.Println(err)
	// Output:
	// Hello, Ada! <nil>
	// true no_name
	// call great on b@127.0.0.1: no such function
}

// Several nodes are called at once, with one deadline for all.
func ExampleServer_Multicall() {
	a, _, stop := twoNodes()
	defer stop()

	nodes := []string{"b@127.0.0.1", "gone@127.0.0.1", "a@127.0.0.1"}
	replies, err := a.Multicall(context.Background(), nodes, "kith.sum", []int{1, 2, 3}, rpc.Timeout(5*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range replies {
		var sum int
		if err := r.Decode(&sum); err != nil {
			fmt.Println(r.Node, rpc.ErrorKind(err))
			continue
		}
		fmt.Println(r.Node, sum)
	}
	// Output:
	// b@127.0.0.1 6
	// gone@127.0.0.1 no_connection
	// a@127.0.0.1 6
}

// A function returns a stream, which goes as fast as it is read.
func ExampleStream() {
	a, b, stop := twoNodes()
	defer stop()

	err := rpc.RegisterStream(b, "squares", func(_ context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := 1; i <= n && yield(i*i, nil); i++ {
			}
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	for square, err := range rpc.Stream[int, int](context.Background(), a, "b@127.0.0.1", "squares", 1000) {
		if err != nil {
			log.Fatal(err)
		}
		if square > 30 {
			break // the function on b ends
		}
		fmt.Println(square)
	}
	// Output:
	// 1
	// 4
	// 9
	// 16
	// 25
}

// A call whose outcome is unknown is repeated, without running the function twice.
func ExampleIdempotencyKey() {
	a, b, stop := twoNodes()
	defer stop()

	payments := 0
	err := rpc.Register(b, "pay", func(_ context.Context, amount int) (int, error) {
		payments++
		time.Sleep(50 * time.Millisecond)
		return amount, nil
	})
	if err != nil {
		log.Fatal(err)
	}
	key := rpc.IdempotencyKey("order-17")
	_, err = rpc.Call[int, int](context.Background(), a, "b@127.0.0.1", "pay", 100, key, rpc.Timeout(10*time.Millisecond))
	fmt.Println(errors.Is(err, rpc.ErrTimeout))
	paid, err := rpc.Call[int, int](context.Background(), a, "b@127.0.0.1", "pay", 100, key)
	fmt.Println(paid, err, payments)
	// Output:
	// true
	// 100 <nil> 1
}

// Answers are taken in the order in which they come.
func ExampleCollection() {
	a, _, stop := twoNodes()
	defer stop()

	ctx := context.Background()
	var requests rpc.Collection[string]
	for label, ms := range map[string]int{"slow": 200, "fast": 1} {
		f, err := a.Go(ctx, "b@127.0.0.1", "kith.sleep", ms)
		if err != nil {
			log.Fatal(err)
		}
		if err := requests.Add(f, label); err != nil {
			log.Fatal(err)
		}
	}
	for {
		r, err := requests.Wait(ctx)
		if errors.Is(err, rpc.ErrNoRequest) {
			break
		}
		fmt.Println(r.Label, r.Err)
	}
	// Output:
	// fast <nil>
	// slow <nil>
}

// Middleware at the caller's end adds a header, and at the other checks it.
func ExampleAuthorize() {
	token := func(next rpc.Handler) rpc.Handler {
		return rpc.HandlerFunc(func(ctx context.Context, r *rpc.Request) (any, error) {
			if r.Header == nil {
				r.Header = rpc.Header{}
			}
			r.Header["token"] = "open sesame"
			return next.Handle(ctx, r)
		})
	}
	check := rpc.Authorize(func(_ context.Context, r *rpc.Request) error {
		if r.Header["token"] != "open sesame" {
			return rpc.Errorf("unauthenticated", "no valid token")
		}
		return nil
	})
	n, err := node.Start(context.Background(), node.Config{Name: "a@127.0.0.1", Cookie: []byte("sixteen bytes or more")})
	if err != nil {
		log.Fatal(err)
	}
	defer n.Close()
	s, err := rpc.New(n, rpc.WithCallMiddleware(token), rpc.WithMiddleware(check))
	if err != nil {
		log.Fatal(err)
	}
	v, err := rpc.Call[string, string](context.Background(), s, n.Name(), "kith.echo", "treasure")
	fmt.Println(v, err)
	// Output:
	// treasure <nil>
}
