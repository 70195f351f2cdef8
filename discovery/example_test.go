package discovery_test

import (
	"context"
	"fmt"
	"os"

	"github.com/kith-mesh/kith/discovery"
)

// A strategy reports whole lists; here the first is enough.
func ExampleMerge() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := discovery.Merge(discovery.Static("alpha.example:45892"), discovery.Static("beta.example:45892"))
	found := func(list []discovery.Candidate) {
		for _, c := range list {
			fmt.Println(c.Addr, c.Source)
		}
		cancel()
	}
	fail := func(err error) { fmt.Println("trouble:", err) }
	if err := s.Run(ctx, discovery.Self{Name: "gamma@example", Mesh: "kith"}, found, fail); err != nil {
		fmt.Println(err)
	}
	// Output:
	// alpha.example:45892 static
	// beta.example:45892 static
}

func ExampleParse() {
	words := []string{"local", "dns:mesh.default.svc.cluster.local:6000?interval=10s"}
	s, err := discovery.Parse(words, discovery.Options{DataDir: "/var/lib/kith"})
	fmt.Println(s.Name(), err)
	_, err = discovery.Parse([]string{"telepathy"}, discovery.Options{})
	fmt.Println(err)
	// Output:
	// local+dns <nil>
	// bad discovery configuration: no strategy "telepathy"; there are dns, dnssrv, gossip, hosts, local, none, static
}

// A program takes its name on this host, tells others where it listens, and sees who else is there.
func ExampleLocalStrategy_Reserve() {
	dir, err := os.MkdirTemp("", "kith")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	r, err := discovery.Local(dir).Reserve("kith", "alice@127.0.0.1")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Release()
	err = r.Publish(discovery.Entry{Name: "alice@127.0.0.1", Incarnation: 1, Addr: "127.0.0.1:6000", PID: os.Getpid()})
	if err != nil {
		fmt.Println(err)
		return
	}
	entries, err := discovery.List(dir, "kith")
	for _, e := range entries {
		fmt.Println(e.Name, e.Addr)
	}
	fmt.Println(err)
	// Output:
	// alice@127.0.0.1 127.0.0.1:6000
	// <nil>
}
