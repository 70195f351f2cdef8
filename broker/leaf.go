package broker

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A leaf's server is in no cluster. It dials the leaf port of one of the mesh's servers, once for each account, and what
// its node publishes and subscribes to crosses there. The TLS of a leaf port is derived like that of routes but from a
// secret of its own, so what a leaf shows does not pass for a server of the cluster.

// leafAccounts are those that a leaf shares with the cluster. The account of plain clients is not among them: a node
// answers its own.
var leafAccounts = []Account{App, Control, Store}

const (
	leafInfo = "kith/1/leaf-tls"
	// leafRetry is how long a leaf waits before it dials again.
	leafRetry = 250 * time.Millisecond
	// leafDial bounds one dial. While it lasts the next server of the list waits.
	leafDial = 2 * time.Second
)

// forLeaves are the same credentials for leaf connections: each cookie is replaced by a secret derived from it. A certificate of
// a node's own is shown there too.
func (c Credentials) forLeaves() (Credentials, error) {
	derived := Credentials{Certificate: c.Certificate}
	if c.Certificate != nil {
		return derived, nil
	}
	var err error
	if derived.Cookie, err = leafSecret(c.Cookie); err != nil {
		return Credentials{}, err
	}
	for _, cookie := range c.Accept {
		secret, err := leafSecret(cookie)
		if err != nil {
			return Credentials{}, err
		}
		derived.Accept = append(derived.Accept, secret)
	}
	for name, cookie := range c.Peers {
		secret, err := leafSecret(cookie)
		if err != nil {
			return Credentials{}, err
		}
		if derived.Peers == nil {
			derived.Peers = map[string][]byte{}
		}
		derived.Peers[name] = secret
	}
	return derived, nil
}

func leafSecret(cookie []byte) ([]byte, error) {
	secret, err := hkdf.Key(sha256.New, cookie, nil, leafInfo, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("deriving the leaf key: %w", err)
	}
	return secret, nil
}

// keyrings makes those for routes and for leaf connections, the latter only where there are any.
func (c *Config) keyrings() (routes, leaves *keyring, err error) {
	if routes, err = newKeyring(c.credentials(), c.Mesh, c.Node, c.SNI); err != nil {
		return nil, nil, err
	}
	if c.Mode != Leaf && c.LeafListen == "" {
		return routes, nil, nil
	}
	derived, err := c.credentials().forLeaves()
	if err != nil {
		return nil, nil, err
	}
	leaves, err = newKeyring(derived, c.Mesh, c.Node, c.SNI)
	return routes, leaves, err
}

// useKeys takes the keyrings over; they may be nil.
func (b *Broker) useKeys(routes, leaves *keyring) {
	b.keys, b.leafKeys = routes, leaves
	if routes != nil {
		b.tls = routes.config()
	}
	if leaves != nil {
		b.leafTLS = leaves.config()
	}
}

// checkLeafListen refuses a leaf port that would be open to anybody.
func (c *Config) checkLeafListen() error {
	if c.LeafListen == "" {
		return nil
	}
	listen, err := parseListen(c.LeafListen)
	switch {
	case err != nil:
		return err
	case listen.from != listen.to:
		return fmt.Errorf("%w: leaf nodes need one port, not the range %q", ErrBadConfig, c.LeafListen)
	case c.Plaintext && !listen.isLoopback():
		return fmt.Errorf("%w: %s for leaf nodes", ErrInsecure, c.LeafListen)
	}
	return nil
}

// applyLeafPort opens the port for leaf nodes in the server's options. TLS says who may come in; user and password say
// only which account a connection is for, and of which mesh.
func (b *Broker) applyLeafPort(o *server.Options, accounts map[Account]*server.Account) error {
	if b.cfg.LeafListen == "" {
		return nil
	}
	listen, err := parseListen(b.cfg.LeafListen)
	if err != nil {
		return err
	}
	port := listen.from
	if b.leafPort != 0 {
		port = b.leafPort
	}
	if port == 0 {
		port = -1
	}
	_, _, writeDeadline := routeTimeouts(b.cfg.TickWindow)
	o.LeafNode = server.LeafNodeOpts{
		Host: listen.host, Port: port, NoAdvertise: true,
		TLSConfig: b.leafTLS, TLSTimeout: handshakeTimeout.Seconds(), AuthTimeout: handshakeTimeout.Seconds(),
		Compression:   server.CompressionOpts{Mode: server.CompressionOff},
		WriteDeadline: writeDeadline,
	}
	for _, a := range leafAccounts {
		o.LeafNode.Users = append(o.LeafNode.Users, &server.User{
			Username: string(a), Password: leafPassword(b.cfg.Mesh), Account: accounts[a],
			AllowedConnectionTypes: map[string]struct{}{"LEAFNODE": {}},
		})
	}
	return nil
}

// applyLeafRemotes makes the server a leaf.
func (b *Broker) applyLeafRemotes(o *server.Options) error {
	_, _, writeDeadline := routeTimeouts(b.cfg.TickWindow)
	o.Cluster = server.ClusterOpts{}
	o.DontListen = b.cfg.Clients == nil
	o.LeafNode = server.LeafNodeOpts{ReconnectInterval: leafRetry, DialTimeout: leafDial, WriteDeadline: writeDeadline}
	for _, a := range leafAccounts {
		r := &server.RemoteLeafOpts{
			LocalAccount: string(a), TLS: b.leafTLS != nil, TLSConfig: b.leafTLS, TLSTimeout: handshakeTimeout.Seconds(),
			Compression: server.CompressionOpts{Mode: server.CompressionOff},
			NoRandomize: true, // so all accounts go to the same server, as a rule
		}
		for _, addr := range b.cfg.Servers {
			u, err := leafURL(addr, a, b.cfg.Mesh)
			if err != nil {
				return err
			}
			r.URLs = append(r.URLs, u)
		}
		o.LeafNode.Remotes = append(o.LeafNode.Remotes, r)
	}
	return nil
}

// leafAtAnEnd says whether this server has leaf connections.
func (b *Broker) leafAtAnEnd() bool { return b.cfg.Mode == Leaf || b.cfg.LeafListen != "" }

func leafPassword(mesh string) string { return "leaf of " + mesh }

// leafURL makes the server's form of the HOST:PORT of a leaf port, which may be a URL already.
func leafURL(addr string, a Account, mesh string) (*url.URL, error) {
	addr = strings.TrimPrefix(strings.TrimPrefix(addr, "nats-leaf://"), "leaf://")
	u, err := routeURL(addr)
	if err != nil {
		return nil, err
	}
	u.Scheme, u.User = "nats-leaf", url.UserPassword(string(a), leafPassword(mesh))
	return u, nil
}

// LeafAddr returns the HOST:PORT of the port for leaf nodes, or "" if there is none.
func (b *Broker) LeafAddr() string {
	if b.cfg.LeafListen == "" {
		return ""
	}
	host, _, err := net.SplitHostPort(b.cfg.LeafListen)
	if err != nil {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(b.leafPort))
}

// awaitLeaf is awaitListener for a leaf's server, which listens for plain clients at most.
func (b *Broker) awaitLeaf() error {
	poll := time.NewTicker(listenPoll)
	defer poll.Stop()
	for {
		select {
		case <-b.log.failed:
			return b.log.fatalError()
		default:
		}
		if b.cfg.Clients == nil {
			return nil // in-process connections work as soon as the server has started
		}
		if a, ok := b.server.Addr().(*net.TCPAddr); ok {
			b.clientPort = a.Port
			return nil
		}
		select {
		case <-b.log.failed:
		case <-poll.C:
		}
	}
}

// boundLeafPort asks the server where it takes leaf nodes.
func (b *Broker) boundLeafPort() int {
	if b.cfg.LeafListen == "" {
		return 0
	}
	report, err := b.server.Varz(nil)
	if err != nil {
		return 0
	}
	return report.LeafNode.Port
}
