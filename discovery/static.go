package discovery

import (
	"context"
	"fmt"
	"net"
	"strconv"
)

// StaticStrategy reports a fixed list of addresses. Make one with [Static].
type StaticStrategy struct {
	addrs []string
}

// Static is the strategy of a fixed list of addresses, each HOST:PORT. It reports the list once, without repetitions
// and without this node's own address. Names of hosts are left as they are: whoever dials resolves them, each time,
// so that a host that moved is found again. An address that is not HOST:PORT makes Run return [ErrBadConfig].
func Static(addrs ...string) Strategy {
	return &StaticStrategy{addrs: append([]string(nil), addrs...)}
}

// Name is "static".
func (s *StaticStrategy) Name() string { return "static" }

// Run reports the list and waits for the end of ctx. See [Strategy].
func (s *StaticStrategy) Run(ctx context.Context, self Self, found func([]Candidate), _ func(error)) error {
	list := make([]Candidate, 0, len(s.addrs))
	seen := make(map[string]bool, len(s.addrs))
	for _, addr := range s.addrs {
		if err := checkAddr(addr); err != nil {
			return fmt.Errorf("%w: static: %w", ErrBadConfig, err)
		}
		if seen[addr] || addr == self.Addr {
			continue
		}
		seen[addr] = true
		list = append(list, Candidate{Addr: addr, Source: s.Name()})
	}
	found(list)
	<-ctx.Done()
	return nil
}

// checkAddr accepts HOST:PORT with a host that is not empty and a numeric port from 1 to 65535.
func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %q is not HOST:PORT", addr)
	}
	if host == "" {
		return fmt.Errorf("address %q has no host", addr)
	}
	return checkPort(addr, port)
}

// checkPort accepts a decimal port from 1 to 65535; what names the thing it was found in.
func checkPort(what, port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q has the port %q, which is not a number from 1 to 65535", what, port)
	}
	return nil
}
