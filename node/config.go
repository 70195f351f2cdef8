package node

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/discovery"
)

// Config says what a node is. The zero value of each field is a working default, but for Name, and Cookie or
// Certificate.
type Config struct {
	// Name is the full name, NAME@HOST, unique in the mesh. See ParseName for what is legal.
	Name string
	// Mesh keeps meshes on the same network apart. Empty means "kith".
	Mesh string
	// Cookie is the secret that all nodes of the mesh share, 16 bytes or more. Routes use mutual TLS derived from it. See
	// SetCookie for how to change it.
	Cookie []byte
	// AcceptCookies lists further cookies whose holders are let in, while this node shows Cookie.
	AcceptCookies [][]byte
	// PeerCookies maps names of nodes to cookies for the connection with that node alone, instead of Cookie and
	// AcceptCookies (NET-04, NET-05). See SetPeerCookie.
	PeerCookies map[string][]byte
	// Certificate, if not nil, takes the place of all cookies: nodes show certificates of their own, and sign with their keys
	// what opens a session. It must be for Name. A Cookie that is given too signs announcements only (see
	// discovery.Gossip). See SetCertificate for how to renew it.
	Certificate *broker.Certificate
	// Plaintext leaves TLS off. It is for measurements, and refused unless Listen is a loopback address.
	Plaintext bool
	// DataDir is where the nodes of this host find each other, and where a name is reserved. Empty: neither.
	DataDir string
	// Mode says how the node reaches its peers: broker.Embedded (the zero value) as a server of the mesh's cluster,
	// broker.Leaf through one server of the cluster, broker.External through a NATS cluster that runs already. In the
	// latter two nobody dials it, peers show by announcements on the wire instead of Discovery, and the death of a peer is
	// noticed within a tick and a round trip.
	Mode broker.Mode
	// Servers is whom a leaf, or a node in an external cluster, connects to: leaf ports HOST:PORT, or URLs.
	Servers []string
	// ServerOptions are for the connections to an external cluster: credentials, TLS.
	ServerOptions []nats.Option
	// LeafListen is the HOST:PORT at which this node takes leaf nodes. Empty: it takes none.
	LeafListen string
	// Listen is HOST:PORT for peers, or HOST:FROM-TO to take the first free port of a range. Empty means 127.0.0.1:0.
	Listen string
	// Advertise is the HOST:PORT that peers are told to dial. Empty means the address that Listen got. Where
	// that is every address of the host, such as 0.0.0.0, it is that in the node's name, if it is one of them, or the only
	// one that the host has beside loopback; Start refuses a choice among several, unless the node is Hidden.
	Advertise string
	// Join lists addresses of nodes to dial, beside what Discovery finds.
	Join []string
	// Discovery lists the strategies that find nodes. Nil means discovery.Local(DataDir) if there is a DataDir; an empty
	// slice means none.
	Discovery []discovery.Strategy
	// Tick is the time between two signs of life; a peer that misses four is down. Zero means 1 s, the least is 10 ms.
	Tick time.Duration
	// Setup is how long one attempt to open a session may take. Zero means 7 s.
	Setup time.Duration
	// Hidden keeps the node out of others' lists, groups and names; it connects only to nodes that it is asked to.
	Hidden bool
	// AutoConnect says when a session opens unasked: AutoAlways (the zero value), AutoOnce or AutoNever.
	AutoConnect AutoConnect
	// Store maps the names of the mesh's store nodes to their addresses, HOST:PORT: 3 or 5 of them, the same list on each.
	// A node that finds its own name here keeps streams and buckets for the mesh, in DataDir, and listens at that
	// address. Empty: this node is no store.
	Store map[string]string
	// Clients opens a port for plain NATS clients; package gateway then lets them call functions and use groups. Nil: no
	// such port.
	Clients *broker.Clients
	// Allow and Deny are patterns as of path.Match, on node names. A node that matches Deny, or that does not match
	// Allow where Allow is not empty, is refused, whoever calls.
	Allow, Deny []string
	// Rules say which peers may call which functions, have members in which groups, and stop this node. The first that fits
	// counts; without any that fits, and without rules, everything is given. See Rule.
	Rules []Rule
	// MaxMessage is the size limit of one message, in bytes. Zero means 64 MiB.
	MaxMessage int
	// Version is the program's version, which peers can see. It may be empty.
	Version string
	// Log receives log lines. The zero value logs nothing.
	Log zerolog.Logger
}

// AutoConnect says when a node opens sessions unasked.
type AutoConnect uint8

// The settings of AutoConnect.
const (
	// AutoAlways opens a session with every visible node that can be reached, and again after it was lost.
	AutoAlways AutoConnect = iota
	// AutoOnce does so until a session with that name was lost; then only Connect, or the peer, opens one (NET-17).
	AutoOnce
	// AutoNever leaves all to Connect (NET-16).
	AutoNever
)

// Limits and defaults.
const (
	defaultMesh       = "kith"
	defaultTick       = time.Second
	minTick           = 10 * time.Millisecond
	defaultSetup      = 7 * time.Second
	defaultMaxMessage = 64 << 20
)

// withDefaults returns a checked copy with its defaults filled in.
func (c Config) withDefaults() (Config, error) {
	if _, _, err := ParseName(c.Name); err != nil {
		return c, err
	}
	if err := c.checkCredentials(); err != nil {
		return c, err
	}
	if err := c.checkStore(); err != nil {
		return c, err
	}
	setDefault(&c.Mesh, defaultMesh)
	setDefault(&c.Listen, "127.0.0.1:0")
	setDefault(&c.Tick, defaultTick)
	setDefault(&c.Setup, defaultSetup)
	setDefault(&c.MaxMessage, defaultMaxMessage)
	if c.Tick < minTick {
		return c, fmt.Errorf("%w: tick %v is under %v", ErrBadArgument, c.Tick, minTick)
	}
	if c.MaxMessage < 1 || c.MaxMessage > 1<<30 {
		return c, fmt.Errorf("%w: message limit %d is not between 1 and 1 GiB", ErrBadArgument, c.MaxMessage)
	}
	for _, pattern := range append(append([]string(nil), c.Allow...), c.Deny...) {
		if _, err := path.Match(pattern, ""); err != nil {
			return c, fmt.Errorf("%w: pattern %q", ErrBadArgument, pattern)
		}
	}
	for _, r := range c.Rules {
		if err := r.check(); err != nil {
			return c, err
		}
	}
	if c.Discovery == nil && c.DataDir != "" {
		c.Discovery = []discovery.Strategy{discovery.Local(c.DataDir)}
	}
	if len(c.Join) > 0 {
		c.Discovery = append(append([]discovery.Strategy(nil), c.Discovery...), discovery.Static(c.Join...))
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// admit applies the allow and deny lists.
func (c *Config) admit(name string) error {
	for _, pattern := range c.Deny {
		if ok, _ := path.Match(pattern, name); ok {
			return fmt.Errorf("%w: %s matches the deny list", ErrRefused, name)
		}
	}
	if len(c.Allow) == 0 {
		return nil
	}
	for _, pattern := range c.Allow {
		if ok, _ := path.Match(pattern, name); ok {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is not on the allow list", ErrRefused, name)
}

// newIncarnation draws the number of a new life.
func newIncarnation() (uint64, error) {
	var b [8]byte
	for {
		if _, err := rand.Read(b[:]); err != nil {
			return 0, errors.Join(errors.New("no random numbers"), err)
		}
		if n := binary.LittleEndian.Uint64(b[:]); n != 0 {
			return n, nil
		}
	}
}
