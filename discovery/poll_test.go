package discovery

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeDNS answers with what a test sets.
type fakeDNS struct {
	mu      sync.Mutex // guards the fields below
	asked   int
	ips     []netip.Addr
	records []*net.SRV
	err     error
	hang    bool
}

// set changes the answers.
func (f *fakeDNS) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeDNS) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.hang {
		f.mu.Unlock()
		<-ctx.Done()
		f.mu.Lock()
		return nil, ctx.Err()
	}
	if network != "ip" || host != "mesh.example" {
		return nil, errors.New("asked for something else")
	}
	return f.ips, f.err
}

func (f *fakeDNS) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if service+proto != "" || name != "_kith._tcp.mesh.example" {
		return "", nil, errors.New("asked for something else")
	}
	return "", f.records, f.err
}

func addrs(s ...string) []netip.Addr {
	var list []netip.Addr
	for _, a := range s {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

// drain takes all that has been reported so far.
func (r *running) drain() (lists [][]Candidate, errs []error) {
	for {
		select {
		case l := <-r.found:
			lists = append(lists, l)
		case err := <-r.fails:
			errs = append(errs, err)
		default:
			return lists, errs
		}
	}
}

// expect waits until all is quiet in the bubble and wants the last list to be addrs, and n failures.
func (r *running) expect(t *testing.T, n int, addrs ...string) {
	t.Helper()
	synctest.Wait()
	lists, errs := r.drain()
	if len(lists) == 0 || !slices.Equal(addrsOf(lists[len(lists)-1]), addrs) {
		t.Errorf("lists %v, want %v", lists, addrs)
	}
	if len(errs) != n {
		t.Errorf("failures %v, want %d", errs, n)
	}
}

// expectNothing wants no list, and n failures.
func (r *running) expectNothing(t *testing.T, n int) {
	t.Helper()
	synctest.Wait()
	lists, errs := r.drain()
	if len(lists) != 0 || len(errs) != n {
		t.Errorf("lists %v, failures %v; want none and %d", lists, errs, n)
	}
}

func TestDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &fakeDNS{ips: addrs("10.0.0.2", "fd00::1", "::ffff:10.0.0.1", "10.0.0.2", "10.0.0.9")}
		s := run(t, DNS(DNSConfig{Name: "mesh.example", Port: 4000, Resolver: dns}), Self{Addr: "10.0.0.9:4000"})
		s.expect(t, 0, "10.0.0.1:4000", "10.0.0.2:4000", "[fd00::1]:4000")
		time.Sleep(20 * time.Second)
		s.expectNothing(t, 0) // the same answer in any order is no news
		dns.set(func() {
			if dns.asked < 3 || dns.asked > 7 {
				t.Errorf("asked %d times in 20 s", dns.asked)
			}
		})

		dns.set(func() { dns.err = errors.New("no such host") }) // keeps the list
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if lists, errs := s.drain(); len(lists) != 0 || len(errs) == 0 || !strings.HasPrefix(errs[0].Error(), "dns: ") {
			t.Errorf("lists %v, failures %v", lists, errs)
		}
		dns.set(func() { dns.err, dns.ips = nil, nil }) // so does an empty answer
		time.Sleep(time.Minute)
		synctest.Wait()
		if lists, errs := s.drain(); len(lists) != 0 || len(errs) == 0 {
			t.Errorf("lists %v, failures %v", lists, errs)
		}
		dns.set(func() { dns.ips = addrs("10.0.0.3") })
		time.Sleep(2 * time.Minute)
		s.expect(t, 0, "10.0.0.3:4000")
		s.stop()
	})
}

func TestDNS_failing_start(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &fakeDNS{hang: true}
		s := run(t, DNS(DNSConfig{Name: "mesh.example", Resolver: dns}), Self{})
		time.Sleep(askTimeout)
		s.expect(t, 1) // an empty list, so that nobody waits for one
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if _, errs := s.drain(); len(errs) > 45 || len(errs) < 20 {
			t.Errorf("%d attempts in 30 minutes", len(errs))
		}
		dns.set(func() { dns.hang, dns.ips = false, addrs("10.0.0.3") })
		time.Sleep(askTimeout) // a question may be hanging at this moment
		synctest.Wait()
		_, _ = s.drain()
		dns.set(func() { dns.ips = addrs("10.0.0.4") })
		time.Sleep(2 * time.Minute)
		s.expect(t, 0, "10.0.0.4:45892")
		s.stop()
	})
}

func TestDNSSRV(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &fakeDNS{records: []*net.SRV{
			{Target: "b.example.", Port: 4001}, {Target: "a.example.", Port: 4000}, {Target: ".", Port: 1},
			{Target: "me.example.", Port: 4002},
		}}
		cfg := DNSConfig{Name: "_kith._tcp.mesh.example", Resolver: dns}
		s := run(t, DNSSRV(cfg), Self{Addr: "me.example:4002"})
		s.expect(t, 0, "a.example:4000", "b.example:4001")
		dns.set(func() {
			dns.err = errors.New("one record is bad") // but there are good ones
			dns.records = dns.records[:1]
		})
		time.Sleep(10 * time.Second)
		s.expect(t, 0, "b.example:4001")
		dns.set(func() { dns.records, dns.err = nil, nil })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if lists, errs := s.drain(); len(lists) != 0 || len(errs) == 0 {
			t.Errorf("lists %v, failures %v", lists, errs)
		}
		s.stop()
	})
}

func TestDNS_bad_config(t *testing.T) {
	for name, s := range map[string]Strategy{
		"no_name":     DNS(DNSConfig{}),
		"bad_name":    DNS(DNSConfig{Name: "a b"}),
		"bad_port":    DNS(DNSConfig{Name: "a", Port: 70000}),
		"srv_no_name": DNSSRV(DNSConfig{}),
		"hosts_port":  Hosts(HostsConfig{Port: -1}),
	} {
		t.Run(name, func(t *testing.T) {
			err := s.Run(context.Background(), Self{}, func([]Candidate) {}, func(error) {})
			if !errors.Is(err, ErrBadConfig) {
				t.Fatalf("err = %v", err)
			}
		})
	}
}

// TestDNS_real asks the resolver of this machine for an address, which needs no server.
func TestDNS_real(t *testing.T) {
	s := run(t, DNS(DNSConfig{Name: "127.0.0.1", Port: 4000}), Self{})
	s.await(t, "127.0.0.1:4000")
}

// scripted is a strategy that a test plays.
type scripted struct {
	name  string
	lists chan []Candidate
	errs  chan error
	end   error
}

func (s *scripted) Name() string { return s.name }

func (s *scripted) Run(ctx context.Context, _ Self, found func([]Candidate), fail func(error)) error {
	if s.end != nil {
		return s.end
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-s.lists:
			found(l)
		case err := <-s.errs:
			fail(err)
		}
	}
}

func TestMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &scripted{name: "a", lists: make(chan []Candidate), errs: make(chan error)}
		b := &scripted{name: "b", lists: make(chan []Candidate), errs: make(chan error)}
		c := &scripted{name: "c", end: ErrBadConfig}
		m := Merge(a, Merge(b, c))
		if m.Name() != "a+b+c" {
			t.Errorf("name %q", m.Name())
		}
		s := run(t, m, Self{})
		s.expectNothing(t, 1) // c stopped, the others did not
		a.lists <- []Candidate{{Addr: "h:1", Source: "a"}, {Addr: "h:2", Source: "a"}}
		s.expectNothing(t, 0) // b has not said anything yet
		b.lists <- nil
		s.expect(t, 0, "h:1", "h:2")
		b.lists <- []Candidate{{Addr: "h:3", Source: "b"}, {Addr: "h:1", Name: "x@h", Source: "b"}}
		s.expect(t, 0, "h:2", "h:3", "h:1")
		a.errs <- errors.New("oops")
		s.expectNothing(t, 1)
		b.lists <- nil
		s.expect(t, 0, "h:1", "h:2")
		b.lists <- nil
		s.expectNothing(t, 0)
		s.stop()
	})
}

func TestMerge_nothing_works(t *testing.T) {
	m := Merge(&scripted{end: ErrBadConfig}, Static("bad"))
	err := m.Run(context.Background(), Self{}, func([]Candidate) {}, func(error) {})
	if !errors.Is(err, ErrBadConfig) {
		t.Fatalf("err = %v", err)
	}
}

func TestMerge_none(t *testing.T) {
	s := run(t, Merge(), Self{})
	s.await(t)
}
