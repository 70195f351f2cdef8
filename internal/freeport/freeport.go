// Package freeport finds ports for servers whose addresses others must know before they start, as the store nodes of a mesh
// do. A port that the system has chosen will not do: it chooses it again for somebody else as soon as it is closed.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// The ports are below those that systems choose for who does not care: Linux from 32768 on, others from 49152.
const (
	first = 10_000
	last  = 31_999
	tries = 1000
)

// ErrNone is returned when no free port was found.
var ErrNone = errors.New("no free port found")

var (
	mu    sync.Mutex // guards given
	given = map[int]bool{}
)

// Addrs returns n different addresses of loopback, such as "127.0.0.1:20117", where nobody listens now. No address is given
// twice in the life of a program. It may be called concurrently, and does not block. Error: ErrNone.
func Addrs(n int) ([]string, error) {
	mu.Lock()
	defer mu.Unlock()
	var addrs []string
	for try := 0; len(addrs) < n; try++ {
		if try == tries {
			return nil, fmt.Errorf("%w between %d and %d", ErrNone, first, last)
		}
		port := first + rand.IntN(last-first+1)
		if given[port] {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue // somebody listens
		}
		if err := l.Close(); err != nil {
			continue
		}
		given[port] = true
		addrs = append(addrs, addr)
	}
	return addrs, nil
}
