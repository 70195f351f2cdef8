package broker

import (
	"fmt"
	"slices"
	"time"
)

// Credentials are what a server shows to others, and whom it lets in: cookies, or a certificate of its own. Start takes
// them from Config; SetCredentials replaces them while the server runs.
type Credentials struct {
	// Cookie is the secret that is shown, and accepted: at least 16 bytes.
	Cookie []byte
	// Accept lists further cookies that are accepted and not shown: the one before or the one after, while the cookie of a
	// mesh is being changed.
	Accept [][]byte
	// Peers maps names of nodes, NAME@HOST, to cookies that are shown to them and accepted from them instead of Cookie and
	// Accept. The name is the one in the other's certificate, which it puts there itself.
	Peers map[string][]byte
	// Certificate, if not nil, is shown and decides who is accepted, instead of all cookies.
	Certificate *Certificate
}

// Check says what is wrong with credentials before they are used. Errors: ErrBadConfig, ErrCookieTooShort.
func (c Credentials) Check() error {
	if c.Certificate != nil {
		return c.Certificate.check()
	}
	if err := checkCookie("the cookie", c.Cookie); err != nil {
		return err
	}
	for i, cookie := range c.Accept {
		if err := checkCookie(fmt.Sprintf("accepted cookie %d", i+1), cookie); err != nil {
			return err
		}
	}
	for name, cookie := range c.Peers {
		if err := checkCookie("the cookie for "+name, cookie); err != nil {
			return err
		}
	}
	return nil
}

// covers checks that a certificate, if there is one, is for the node.
func (c Credentials) covers(node string) error {
	if c.Certificate == nil {
		return nil
	}
	return c.Certificate.covers(node, time.Now())
}

func checkCookie(what string, cookie []byte) error {
	if len(cookie) < minCookie {
		return fmt.Errorf("%w: %s has %d bytes, at least %d are needed", ErrCookieTooShort, what, len(cookie), minCookie)
	}
	return nil
}

// Equal says whether two credentials are the same cookies and the same certificate.
func (c Credentials) Equal(other Credentials) bool {
	same := func(a, b []byte) bool { return string(a) == string(b) }
	if !same(c.Cookie, other.Cookie) || !slices.EqualFunc(c.Accept, other.Accept, same) || len(c.Peers) != len(other.Peers) ||
		c.Certificate != other.Certificate {
		return false
	}
	for name, cookie := range c.Peers {
		if theirs, ok := other.Peers[name]; !ok || !same(cookie, theirs) {
			return false
		}
	}
	return true
}

// credentials are those of the configuration.
func (c *Config) credentials() Credentials {
	return Credentials{Cookie: c.Cookie, Accept: c.Accept, Peers: c.PeerCookies, Certificate: c.Certificate}
}

// SetCredentials replaces what the server shows and accepts, from the next connection on. What stands is not cut: a route
// lives as long as both ends do, also one whose cookie nobody accepts any more. It may be called at any time, and does not
// wait for anybody. Errors: ErrClosed, ErrBadConfig (also for a server in plain text), ErrCookieTooShort; then the old
// ones stay.
func (b *Broker) SetCredentials(c Credentials) error {
	if b.isClosed() {
		return ErrClosed
	}
	if b.cfg.Mode == External {
		if err := c.Check(); err != nil {
			return err
		}
		return c.covers(b.cfg.Node) // who may use the cluster is not ours to say
	}
	if b.keys == nil {
		return fmt.Errorf("%w: this server speaks plain text, and shows nothing", ErrBadConfig)
	}
	derived, err := c.forLeaves()
	if err != nil {
		return err
	}
	if err := b.keys.set(c); err != nil {
		return err
	}
	if b.leafKeys == nil {
		return nil
	}
	return b.leafKeys.set(derived)
}
