package discovery

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// DefaultPort is the port at which nodes are looked for where the source names a host and no port. It is the number of
// the gossip's UDP port too. A node listens there when it is told to, with --cluster-listen.
const DefaultPort = 45892

// Resolver answers questions of DNS. *net.Resolver is one.
type Resolver interface {
	// LookupNetIP returns the addresses of host. The network is "ip" for both kinds, "ip4" or "ip6".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	// LookupSRV returns the SRV records of name when service and proto are empty.
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// DNSConfig says how to find nodes through DNS. The zero value of each field but Name means its default.
type DNSConfig struct {
	// Name is the name to look up, such as that of a headless service. It is required.
	Name string
	// Port is the port of each address, for DNS only: an SRV record has its own. The default is DefaultPort.
	Port int
	// Interval is the pause between two questions, give or take a quarter. The default is DefaultInterval.
	Interval time.Duration
	// Resolver answers. The default is net.DefaultResolver.
	Resolver Resolver
}

// DNSStrategy asks DNS again and again. Make one with [DNS] or [DNSSRV].
type DNSStrategy struct {
	cfg  DNSConfig
	name string
	ask  func(ctx context.Context) ([]Candidate, error)
}

// DNS is the strategy of a name whose A and AAAA records are the nodes' addresses, all with one port.
//
// A question that fails, or that DNS answers with "no such host" or nothing, is reported and keeps the last list: name
// servers that restart say so of names that exist. A node that an answer leaves out, since it did not fit perhaps, loses
// nothing by it.
func DNS(cfg DNSConfig) *DNSStrategy {
	s := newDNS("dns", cfg)
	s.ask = s.addresses
	return s
}

// DNSSRV is the strategy of a name whose SRV records are the nodes' hosts and ports, such as
// "_kith._tcp.chat.example.org". Hosts stay names: whoever dials resolves them. Priority and weight mean nothing, since
// every node is dialled. Failures are as with [DNS].
func DNSSRV(cfg DNSConfig) *DNSStrategy {
	s := newDNS("dnssrv", cfg)
	s.ask = s.services
	return s
}

func newDNS(name string, cfg DNSConfig) *DNSStrategy {
	if cfg.Port == 0 {
		cfg.Port = DefaultPort
	}
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	return &DNSStrategy{cfg: cfg, name: name}
}

// Name is "dns" or "dnssrv".
func (s *DNSStrategy) Name() string { return s.name }

// Run asks until ctx ends. See [Strategy].
func (s *DNSStrategy) Run(ctx context.Context, self Self, found func([]Candidate), fail func(error)) error {
	if s.cfg.Name == "" || strings.ContainsAny(s.cfg.Name, " /") {
		return fmt.Errorf("%w: %s: bad name %q", ErrBadConfig, s.name, s.cfg.Name)
	}
	if s.cfg.Port < 1 || s.cfg.Port > 65535 {
		return fmt.Errorf("%w: %s: port %d is not between 1 and 65535", ErrBadConfig, s.name, s.cfg.Port)
	}
	return Poll(s.name, s.cfg.Interval, s.ask).Run(ctx, self, found, fail)
}

// addresses asks for A and AAAA records.
func (s *DNSStrategy) addresses(ctx context.Context) ([]Candidate, error) {
	ips, err := s.cfg.Resolver.LookupNetIP(ctx, "ip", s.cfg.Name)
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 {
		return nil, fmt.Errorf("%s has no address", s.cfg.Name)
	}
	list := make([]Candidate, 0, len(ips))
	for _, ip := range ips {
		addr := netip.AddrPortFrom(ip.Unmap(), uint16(s.cfg.Port))
		list = append(list, Candidate{Addr: addr.String(), Source: s.name})
	}
	return list, nil
}

// services asks for SRV records.
func (s *DNSStrategy) services(ctx context.Context) ([]Candidate, error) {
	_, records, err := s.cfg.Resolver.LookupSRV(ctx, "", "", s.cfg.Name)
	// Some good records may come with an error about bad ones.
	if err != nil && len(records) == 0 {
		return nil, err
	}
	list := make([]Candidate, 0, len(records))
	for _, r := range records {
		// The target "." says that the service is decidedly not there.
		if host := strings.TrimSuffix(r.Target, "."); host != "" && r.Port != 0 {
			addr := net.JoinHostPort(host, strconv.Itoa(int(r.Port)))
			list = append(list, Candidate{Addr: addr, Source: s.name})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no SRV record", s.cfg.Name)
	}
	return list, nil
}
