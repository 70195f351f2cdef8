package integration

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// network is a number of hosts, each a network namespace of its own, and a way from each to each that a test can cut,
// delay or make lossy, either direction by itself.
//
// The packets travel through the test: every host has one interface, whose other end is here. So no kernel module is
// needed to lose or delay packets, traffic cannot leave the test, and the namespaces have no names that could clash, or
// stay when the test is killed: each lives as long as somebody is in it.
type network struct {
	t     *testing.T
	hosts []*host
	done  chan struct{}
	all   sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	ways  map[way]fault
	lines map[way]chan packet // what is under way where there is a delay
	lost  map[way]int         // packets
}

// host is one computer of the network.
type host struct {
	addr netip.Addr
	ns   int      // file descriptor of its namespace
	tun  *os.File // its interface: what it sends is read here
}

// way is the direction from one host to another, by their positions.
type way struct{ from, to int }

// fault is what happens to packets that go one way.
type fault struct {
	cut   bool
	loss  float64       // share of packets that get lost
	delay time.Duration // of each
}

type packet struct {
	due  time.Time
	data []byte
}

const (
	// subnet is where the hosts are: the first has number 1.
	subnet = "10.77.0."
	// mtu is as on an Ethernet.
	mtu = 1500
	// lineLength bounds the packets that are under way on a slow link, as a queue in a router does.
	lineLength = 10_000
)

// newNetwork makes a network of so many hosts, all of which reach each other. It skips the test where it may not.
func newNetwork(t *testing.T, hosts int) *network {
	t.Helper()
	n := &network{
		t: t, done: make(chan struct{}), ways: map[way]fault{}, lines: map[way]chan packet{}, lost: map[way]int{},
	}
	t.Cleanup(n.close)
	for i := range hosts {
		h, err := newHost(netip.MustParseAddr(subnet + itoa(i+1)))
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
			t.Skipf("network namespaces need root and /dev/net/tun: %v", err)
		}
		if err != nil {
			t.Fatalf("host %d: %v", i+1, err)
		}
		n.hosts = append(n.hosts, h)
	}
	for i, h := range n.hosts {
		n.all.Go(func() { n.forward(i, h) })
	}
	return n
}

func (n *network) close() {
	close(n.done)
	for _, h := range n.hosts {
		_ = h.tun.Close()
		_ = unix.Close(h.ns)
	}
	n.all.Wait()
}

// newHost makes a namespace with a loopback interface and one to the network.
func newHost(addr netip.Addr) (h *host, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine, and takes no other into its namespace
		h, err = enterNewHost(addr)
	}()
	<-done
	return h, err
}

// enterNewHost moves the calling thread to the new namespace.
func enterNewHost(addr netip.Addr) (*host, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("unshare: %w", err)
	}
	ns, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("namespace: %w", err)
	}
	tun, err := openInterface("eth0")
	if err == nil {
		err = errors.Join(configure("eth0", addr), configure("lo", netip.Addr{}))
		if err == nil {
			return &host{addr: addr, ns: ns, tun: tun}, nil
		}
		_ = tun.Close()
	}
	_ = unix.Close(ns)
	return nil, err
}

// openInterface makes an interface in the namespace of the calling thread, whose packets are read from and written to
// the file.
func openInterface(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), "tun"), nil
}

// configure gives an interface an address, if there is one, and takes it up.
func configure(name string, addr netip.Addr) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(s)
	set := func(what uint, fill func(*unix.Ifreq) error) error {
		req, err := unix.NewIfreq(name)
		if err == nil {
			err = fill(req)
		}
		if err == nil {
			err = unix.IoctlIfreq(s, what, req)
		}
		if err != nil {
			return fmt.Errorf("configure %s: %w", name, err)
		}
		return nil
	}
	if addr.IsValid() {
		mask := []byte{255, 255, 255, 0}
		err := errors.Join(
			set(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(addr.AsSlice()) }),
			set(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask) }))
		if err != nil {
			return err
		}
	}
	return set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
}

// start starts a process on the host: it is in the namespace of the thread that makes it.
func (h *host) start(cmd *exec.Cmd) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = unix.Setns(h.ns, unix.CLONE_NEWNET); err == nil {
			err = cmd.Start()
		}
	}()
	<-done
	return err
}

// forward takes what a host sends to where it belongs.
func (n *network) forward(from int, h *host) {
	buf := make([]byte, mtu)
	for {
		size, err := h.tun.Read(buf)
		if err != nil {
			return // closed
		}
		if to, ok := n.destination(buf[:size]); ok {
			n.carry(way{from, to}, buf[:size])
		}
	}
}

// destination is the position of the host that a packet is for.
func (n *network) destination(ip []byte) (int, bool) {
	const headerLength, destinationAt = 20, 16
	if len(ip) < headerLength || ip[0]>>4 != 4 {
		return 0, false // IPv6 looks for routers here in vain
	}
	dst, _ := netip.AddrFromSlice(ip[destinationAt : destinationAt+4])
	i := slices.IndexFunc(n.hosts, func(h *host) bool { return h.addr == dst })
	return i, i >= 0
}

// carry delivers a packet, or does to it what the fault says.
func (n *network) carry(w way, data []byte) {
	n.mu.Lock()
	f := n.ways[w]
	gone := f.cut || f.loss > 0 && rand.Float64() < f.loss
	if gone {
		n.lost[w]++
	}
	line := n.lines[w]
	if line == nil && f.delay > 0 {
		line = make(chan packet, lineLength)
		n.lines[w] = line
		n.all.Go(func() { n.late(w, line) })
	}
	n.mu.Unlock()
	switch {
	case gone:
	case line == nil:
		_, _ = n.hosts[w.to].tun.Write(data) // a full interface loses it, as everywhere
	default: // also when the delay is gone by now, to keep the order
		select {
		case line <- packet{time.Now().Add(f.delay), slices.Clone(data)}:
		default:
		}
	}
}

// late delivers packets when they are due.
func (n *network) late(w way, line <-chan packet) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case p := <-line:
			timer.Reset(time.Until(p.due))
			select {
			case <-timer.C:
			case <-n.done:
				return
			}
			_, _ = n.hosts[w.to].tun.Write(p.data)
		case <-n.done:
			return
		}
	}
}

// oneWay sets what happens to packets from one host to another; numbers count from 1.
func (n *network) oneWay(from, to int, f fault) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ways[way{from - 1, to - 1}] = f
	return time.Now()
}

// between is oneWay both ways between any of some hosts and any of others. It returns when it is done.
func (n *network) between(some, others []int, f fault) time.Time {
	for _, a := range some {
		for _, b := range others {
			if a != b {
				n.oneWay(a, b, f)
				n.oneWay(b, a, f)
			}
		}
	}
	return time.Now()
}

// everywhere is between all hosts. Without a fault it heals the network.
func (n *network) everywhere(f fault) time.Time {
	all := make([]int, len(n.hosts))
	for i := range all {
		all[i] = i + 1
	}
	return n.between(all, all, f)
}

// lostPackets is how many packets faults have taken away on the way from one host to another.
func (n *network) lostPackets(from, to int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost[way{from - 1, to - 1}]
}
