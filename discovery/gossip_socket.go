package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// gossipSocket sends to the group and receives from it.
type gossipSocket interface {
	send(b []byte) error
	// receive waits for a datagram, until close.
	receive(b []byte) (n int, from netip.Addr, err error)
	// stale says that the host's interfaces have changed, so that the socket should be opened again.
	stale() bool
	close() error
}

// multicaster is what ipv4.PacketConn and ipv6.PacketConn have in common.
type multicaster interface {
	JoinGroup(ifi *net.Interface, group net.Addr) error
	SetMulticastInterface(ifi *net.Interface) error
	SetMulticastLoopback(on bool) error
}

// udpSocket is the gossipSocket of the network.
type udpSocket struct {
	conn   net.PacketConn
	multi  multicaster
	group  netip.AddrPort
	ifaces []net.Interface
	choose func() ([]net.Interface, error)
}

// openUDP joins the group on each interface that choose returns. Several nodes of a host may have the port open.
func openUDP(ctx context.Context, group netip.AddrPort, ttl int, choose func() ([]net.Interface, error)) (*udpSocket, error) {
	ifaces, err := choose()
	if err != nil {
		return nil, err
	}
	network := "udp4"
	if group.Addr().Is6() {
		network = "udp6"
	}
	// For the address of a group, the net package opens the port on all addresses, shared with other sockets.
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(ctx, network, group.String())
	if err != nil {
		return nil, err
	}
	s := &udpSocket{conn: conn, group: group, ifaces: ifaces, choose: choose}
	if err := s.join(ttl); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

// join joins the group on the interfaces, of which one must be willing.
func (s *udpSocket) join(ttl int) error {
	var err error
	if s.group.Addr().Is6() {
		c := ipv6.NewPacketConn(s.conn)
		s.multi, err = c, c.SetMulticastHopLimit(ttl)
	} else {
		c := ipv4.NewPacketConn(s.conn)
		s.multi, err = c, c.SetMulticastTTL(ttl)
	}
	if err = errors.Join(err, s.multi.SetMulticastLoopback(true)); err != nil {
		return err
	}
	var errs []error
	for _, ifi := range s.ifaces {
		if err := s.multi.JoinGroup(&ifi, net.UDPAddrFromAddrPort(s.group)); err != nil {
			errs = append(errs, fmt.Errorf("join %v on %s: %w", s.group.Addr(), ifi.Name, err))
		}
	}
	if len(errs) == len(s.ifaces) {
		return errors.Join(errs...)
	}
	return nil
}

// send sends b out of each interface. It fails when none took it.
func (s *udpSocket) send(b []byte) error {
	var errs []error
	for _, ifi := range s.ifaces {
		to := net.UDPAddrFromAddrPort(s.group)
		if g := s.group.Addr(); g.Is6() && (g.IsLinkLocalMulticast() || g.IsInterfaceLocalMulticast()) {
			to.Zone = ifi.Name
		}
		err := s.multi.SetMulticastInterface(&ifi)
		if err == nil {
			_, err = s.conn.WriteTo(b, to)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("send on %s: %w", ifi.Name, err))
		}
	}
	if len(errs) == len(s.ifaces) {
		return errors.Join(errs...)
	}
	return nil
}

func (s *udpSocket) receive(b []byte) (int, netip.Addr, error) {
	n, from, err := s.conn.ReadFrom(b)
	if udp, ok := from.(*net.UDPAddr); ok {
		return n, udp.AddrPort().Addr(), err
	}
	return n, netip.Addr{}, err
}

func (s *udpSocket) stale() bool {
	now, err := s.choose()
	return err == nil && !slices.EqualFunc(now, s.ifaces, func(a, b net.Interface) bool {
		return a.Index == b.Index && a.Name == b.Name
	})
}

func (s *udpSocket) close() error { return s.conn.Close() }

// chooseInterfaces returns the interfaces of these names. Without names, a node that is reached at a loopback address
// uses loopback, since it is of no use to anybody else, and any other node uses all others that do multicast.
func chooseInterfaces(names []string, addr string) ([]net.Interface, error) {
	if len(names) > 0 {
		list := make([]net.Interface, 0, len(names))
		for _, name := range names {
			ifi, err := net.InterfaceByName(name)
			if err != nil {
				return nil, fmt.Errorf("interface %s: %w", name, err)
			}
			list = append(list, *ifi)
		}
		return list, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	local := isLoopback(addr)
	list := slices.DeleteFunc(all, func(ifi net.Interface) bool {
		if ifi.Flags&net.FlagUp == 0 {
			return true
		}
		if local {
			return ifi.Flags&net.FlagLoopback == 0
		}
		return ifi.Flags&net.FlagLoopback != 0 || ifi.Flags&net.FlagMulticast == 0
	})
	if len(list) == 0 {
		return nil, errors.New("no interface does multicast")
	}
	return list, nil
}

// isLoopback says whether addr, HOST:PORT, is one that only this host reaches.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// parseGroup reads GROUP:PORT.
func parseGroup(s string) (netip.AddrPort, error) {
	g, err := netip.ParseAddrPort(s)
	if err != nil || !g.Addr().IsMulticast() || g.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is not GROUP:PORT with a multicast address, such as %s",
			s, net.JoinHostPort(DefaultGroup, strconv.Itoa(DefaultPort)))
	}
	return g, nil
}
