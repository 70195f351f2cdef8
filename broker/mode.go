package broker

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Mode says what stands behind a Broker.
type Mode uint8

const (
	// Embedded: this process runs a server of the mesh's cluster, and has a route to every other.
	Embedded Mode = iota
	// Leaf: this process runs a server that hangs off one server of the cluster, by a connection for each account.
	Leaf
	// External: this process runs no server. It is a client of NATS servers that somebody else runs.
	External
)

// String is the mode's word in the configuration.
func (m Mode) String() string {
	switch m {
	case Leaf:
		return "leaf"
	case External:
		return "external"
	}
	return "embedded"
}

// Routed says whether there are routes, one to each peer, whose names and ends tell who is there. Where there are none,
// nodes announce themselves.
func (m Mode) Routed() bool { return m == Embedded }

// Proven says whether the transport lets nobody in who does not know the mesh's secret.
func (b *Broker) Proven() bool { return b.cfg.Mode != External }

// Routed says whether the peers show as Routes.
func (b *Broker) Routed() bool { return b.cfg.Mode.Routed() }

// Linked says whether anybody can be reached at present, as far as this side knows: always in mode Embedded, while the
// connections to the cluster stand in mode Leaf, while there is a server in mode External.
func (b *Broker) Linked() bool {
	switch b.cfg.Mode {
	case Leaf:
		return b.server.NumLeafNodes() >= len(leafAccounts)
	case External:
		return b.connected()
	}
	return true
}

// Via is the HOST:PORT of the server through which this side reaches the others, empty while there is none; in mode
// Embedded it is AdvertisedAddr.
func (b *Broker) Via() string {
	switch b.cfg.Mode {
	case Leaf:
		report, err := b.server.Leafz(nil)
		if err != nil || len(report.Leafs) == 0 {
			return ""
		}
		return net.JoinHostPort(report.Leafs[0].IP, strconv.Itoa(report.Leafs[0].Port))
	case External:
		return b.link.ConnectedAddr()
	}
	return b.AdvertisedAddr()
}

// Prefix stands before each subject of the mesh. It is empty where the accounts are the mesh's own; in somebody else's
// cluster it keeps meshes apart, and the mesh apart from everything else.
func (b *Broker) Prefix() string {
	if b.cfg.Mode == External {
		return "kith-" + subjectToken(b.cfg.Mesh) + "."
	}
	return ""
}

// checkMode refuses settings that mean nothing together.
func (c *Config) checkMode() error {
	var problem string
	switch {
	case c.Mode > External:
		problem = "no such mode"
	case c.Mode == Embedded && len(c.Servers) > 0:
		problem = "servers are for a leaf and for an external cluster; other nodes' cluster addresses are Routes"
	case c.Mode != Embedded && len(c.Servers) == 0:
		problem = "no servers to connect to"
	case c.Mode != Embedded && c.LeafListen != "":
		problem = "only a server of the cluster takes leaf nodes"
	case c.Mode != Embedded && c.Store != nil:
		problem = "only a server of the cluster can be a store"
	case c.Mode != Embedded && len(c.Routes) > 0:
		problem = "only a server of the cluster has routes"
	case c.Mode == External && c.Clients != nil:
		problem = "there is no server to open a port for clients; they connect to the external cluster"
	default:
		return nil
	}
	return fmt.Errorf("%w: mode %s: %s", ErrBadConfig, c.Mode, problem)
}

// subjectToken makes one token of a subject of any name: itself where it may be, else its bytes in hexadecimal.
func subjectToken(name string) string {
	plain := name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
	if plain && !strings.HasPrefix(name, "0x") {
		return name
	}
	return fmt.Sprintf("0x%x", name)
}
