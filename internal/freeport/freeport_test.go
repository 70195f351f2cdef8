package freeport_test

import (
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/kith-mesh/kith/internal/freeport"
)

// TestAddrs: what is given is free, below what the system gives, and given once.
func TestAddrs(t *testing.T) {
	var mu sync.Mutex // guards seen
	seen := map[string]bool{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			addrs, err := freeport.Addrs(20)
			if err != nil || len(addrs) != 20 {
				t.Errorf("%v, %v", addrs, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, a := range addrs {
				if seen[a] {
					t.Errorf("%s twice", a)
				}
				seen[a] = true
				_, port, _ := net.SplitHostPort(a)
				if n, err := strconv.Atoi(port); err != nil || n >= 32768 {
					t.Errorf("port %q", port)
				}
				l, err := net.Listen("tcp", a)
				if err != nil {
					t.Error(err)
					continue
				}
				defer l.Close()
			}
		})
	}
	all.Wait()
	if len(seen) != 80 {
		t.Errorf("%d addresses", len(seen))
	}
}
