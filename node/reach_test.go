package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/internal/address"
	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/wire"
)

// TestStart_everywhere: a node that listens at every address tells peers the only one that there is, or what it is told to tell.
func TestStart_everywhere(t *testing.T) {
	secret := []byte("0123456789abcdef")
	own, several := address.Own("127.0.0.1") // of this host; where it has several, none is chosen
	if several != nil {
		several = ErrBadArgument
	}
	for _, c := range []struct {
		name string
		cfg  Config
		want error
		addr bool // it tells one
	}{
		{"chosen", Config{Listen: "0.0.0.0:0"}, several, true},
		{"chosen_without_host", Config{Listen: ":0"}, several, true},
		{"refused_as_advertised", Config{Advertise: "[::]:7000"}, ErrBadArgument, false},
		{"advertised", Config{Listen: "0.0.0.0:0", Advertise: "127.0.0.1:7000"}, nil, true},
		{"hidden", Config{Listen: "0.0.0.0:0", Hidden: true}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Name, c.cfg.Cookie = "a@127.0.0.1", secret
			n, err := Start(t.Context(), c.cfg)
			if n != nil {
				defer n.Close()
			}
			if !errors.Is(err, c.want) {
				t.Fatalf("Start: %v, want %v", err, c.want)
			}
			if err == nil && (n.Addr() != "") != c.addr {
				t.Errorf("it tells peers %q", n.Addr())
			}
			if err == nil && c.addr && c.cfg.Advertise == "" && !strings.Contains(n.Addr(), own.String()) {
				t.Errorf("it tells peers %q, and not of %s", n.Addr(), own)
			}
		})
	}
}

// TestKeeper_knows_no_address_of_everybody: a peer of another version may still say that it listens at 0.0.0.0.
func TestKeeper_knows_no_address_of_everybody(t *testing.T) {
	bubble(t, "unspecified", func(t *testing.T, d *desk) {
		d.know(wire.Info{Name: "n9@h", Incarnation: 9, Addr: "0.0.0.0:7000"})
		d.know(wire.Info{Name: "n8@h", Incarnation: 8, Addr: "10.0.0.8:1"})
		for _, f := range d.updates.Take(nil) {
			f()
		}
		for addr := range d.contacts {
			if address.Everywhere(addr) {
				t.Errorf("it would dial %s", addr)
			}
		}
		if !d.knows(8) {
			t.Error("does not know the other")
		}
	})
}

// TestVerdict: what the answer of a suspect's address proves. Nothing that fails on this side says anything of the peer.
func TestVerdict(t *testing.T) {
	self, id := membership.ID{Name: "n5@h", Incarnation: 5}, membership.ID{Name: "n9@h", Incarnation: 9}
	named := func(i membership.ID) broker.Probed { return broker.Probed{ServerName: serverName(ID(i), false)} }
	for _, c := range []struct {
		name  string
		found broker.Probed
		err   error
		want  verdict
	}{
		{"itself", named(id), nil, verdictLives},
		{"its_store", broker.Probed{ServerName: id.Name}, nil, verdictStore},
		{"its_next_life", named(membership.ID{Name: id.Name, Incarnation: 10}), nil, verdictGone},
		{"another", named(membership.ID{Name: "n1@h", Incarnation: 1}), nil, verdictGone},
		{"ourselves", named(self), nil, verdictNone},
		{"refused", broker.Probed{}, fmt.Errorf("%w: h:1", broker.ErrNotListening), verdictGone},
		{"hung_up", broker.Probed{}, fmt.Errorf("%w: h:1", broker.ErrHungUp), verdictGone},
		{"other_mesh", broker.Probed{}, fmt.Errorf("%w: h:1", broker.ErrMesh), verdictGone},
		{"silent", broker.Probed{}, os.ErrDeadlineExceeded, verdictNone},
		{"resolver", broker.Probed{}, &net.DNSError{Err: "no such host", IsNotFound: true}, verdictNone},
		{"descriptors", broker.Probed{}, &net.OpError{Op: "dial", Err: syscall.EMFILE}, verdictNone},
		{"ports", broker.Probed{}, syscall.EADDRNOTAVAIL, verdictNone},
		{"unreachable", broker.Probed{}, syscall.EHOSTUNREACH, verdictNone},
		{"cookie", broker.Probed{}, broker.ErrCookie, verdictNone},
		{"certificate", broker.Probed{}, broker.ErrCertificate, verdictNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := verdictOn(id, self, c.found, c.err); got != c.want {
				t.Errorf("verdict %d, want %d", got, c.want)
			}
		})
	}
}
