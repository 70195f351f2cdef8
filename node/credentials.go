package node

import (
	"bytes"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/kith-mesh/kith/broker"
)

// secrets are the credentials of now.
type secrets struct {
	mu  sync.Mutex // guards the field below, whose contents are replaced and never changed
	now broker.Credentials
}

func (s *secrets) get() broker.Credentials {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// credentials are what the configuration begins with.
func (c *Config) credentials() broker.Credentials {
	return broker.Credentials{Cookie: c.Cookie, Accept: c.AcceptCookies, Peers: c.PeerCookies, Certificate: c.Certificate}
}

func (c *Config) checkCredentials() error {
	for name := range c.PeerCookies {
		if _, _, err := ParseName(name); err != nil {
			return fmt.Errorf("the cookie for a peer: %w", err)
		}
	}
	if c.Plaintext {
		return nil
	}
	if err := c.credentials().Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadArgument, err)
	}
	return nil
}

// SetCookie replaces the cookie that this node shows, and the further ones that it accepts, from the next connection on.
// Sessions that are up stay up, whatever cookie they began with. So the cookie of a mesh is changed without a moment in
// which nodes refuse each other: first let every node accept the new one, SetCookie(old, new); then show it, SetCookie(new,
// old); then drop the old one, SetCookie(new). A node that was refused before is asked again at once.
//
// It does not block, and may be called concurrently. Errors: ErrBadArgument (also for a node in plain text), ErrClosed;
// then nothing changes.
func (n *Node) SetCookie(cookie []byte, accept ...[]byte) error {
	return n.changeCredentials(func(c *broker.Credentials) {
		c.Cookie, c.Accept = bytes.Clone(cookie), nil
		for _, a := range accept {
			c.Accept = append(c.Accept, bytes.Clone(a))
		}
	})
}

// SetPeerCookie gives the connection with one node a cookie of its own, from the next connection on: it is shown to that
// node, and from that node no other is taken (NET-04, NET-05). The two connect if the other shows the same one, because it
// is its own cookie or because it has given it to this pair too. Nil takes the cookie for that node back. Sessions that are
// up stay up.
//
// The name is the one that the other puts into its certificate. Who has this node's own cookie and lies about its name gets
// in with that: a cookie for a peer lets one more node in, and keeps none out. Errors: ErrBadName, ErrBadArgument (also for
// a node in plain text), ErrClosed; then nothing changes.
func (n *Node) SetPeerCookie(name string, cookie []byte) error {
	if _, _, err := ParseName(name); err != nil {
		return err
	}
	return n.changeCredentials(func(c *broker.Credentials) {
		peers := maps.Clone(c.Peers)
		if peers == nil {
			peers = map[string][]byte{}
		}
		if delete(peers, name); cookie != nil {
			peers[name] = bytes.Clone(cookie)
		}
		c.Peers = peers
	})
}

// SetCertificate replaces this node's own certificate, such as by one that was renewed, and the authorities that it trusts,
// from the next connection on. Sessions that are up stay up, also when the certificate that they began with has ended. A
// node that began with a cookie cannot turn to certificates, nor back. Errors: ErrBadArgument, with the reason, such as a
// certificate for another node; ErrClosed. Then nothing changes.
func (n *Node) SetCertificate(c *broker.Certificate) error {
	if c == nil || n.cfg.Certificate == nil {
		return fmt.Errorf("%w: certificates and cookies do not take each other's place while a node runs", ErrBadArgument)
	}
	return n.changeCredentials(func(now *broker.Credentials) { now.Certificate = c })
}

// changeCredentials replaces the credentials by changed ones, everywhere.
func (n *Node) changeCredentials(change func(*broker.Credentials)) error {
	if n.leaving.Load() {
		return ErrClosed
	}
	n.secrets.mu.Lock()
	defer n.secrets.mu.Unlock()
	next := n.secrets.now
	change(&next)
	if err := n.broker.SetCredentials(next); err != nil {
		return n.closedOr(fmt.Errorf("%w: %w", ErrBadArgument, err))
	}
	n.secrets.now = next
	n.keeper.do(n.keeper.reconsider)
	return nil
}

// reconsider has everybody who was refused asked again: it may be let in now, or refused for another reason.
func (k *keeper) reconsider() {
	for _, c := range k.contacts {
		c.next, c.logged = time.Time{}, ""
	}
}

// cookies are the secrets that announcements are signed with now: the first signs, all are accepted.
func (n *Node) cookies() [][]byte {
	c := n.secrets.get()
	if len(c.Cookie) == 0 {
		return nil
	}
	return append([][]byte{c.Cookie}, c.Accept...)
}
