package address

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// ErrAmbiguous is in the error of Own where this host has several addresses, none of which was preferred.
var ErrAmbiguous = errors.New("this host has several addresses")

// Own returns the address that others are told of one who listens at all addresses of this host: the preferred one if it is
// among them, such as that in the name of a node, or else the only one that leads here from elsewhere; on a host without a
// network 127.0.0.1. Errors: ErrAmbiguous, and what the system says.
func Own(preferred string) (netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("asking for this host's addresses: %w", err)
	}
	var own []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap())
		}
	}
	return choose(own, preferred)
}

// choose is Own for a host with these addresses. One of IPv4 goes before those of IPv6, of which hosts have many. Loopback is
// never preferred: who listens everywhere wants to be reached from elsewhere.
func choose(own []netip.Addr, preferred string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(preferred); err == nil && !ip.Unmap().IsLoopback() && slices.Contains(own, ip.Unmap()) {
		return ip.Unmap(), nil
	}
	for _, wanted := range []func(netip.Addr) bool{netip.Addr.Is4, netip.Addr.Is6} {
		var found []netip.Addr
		for _, ip := range own {
			if wanted(ip) && ip.IsGlobalUnicast() && !slices.Contains(found, ip) {
				found = append(found, ip)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return netip.Addr{}, fmt.Errorf("%w: %s", ErrAmbiguous, strings.Trim(fmt.Sprint(found), "[]"))
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
}
