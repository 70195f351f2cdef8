package broker

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kith-mesh/kith/internal/identity"
)

// keyring is the TLS of routes. Its tls.Config never changes, since the server compares it at every reload; what the
// config does is asked for at every handshake, and follows the credentials of that moment.
//
// Who dials does not know yet whom, so it says who it is: the server name asked for is LABEL.HASH.kith.mesh, with a hash of
// the dialler's node name. One that has a cookie for that node shows it. The dialler in turn chooses the one whose authority
// the other asks for. Both then check the name in the other's certificate.
type keyring struct {
	mesh, node, sni string
	now             atomic.Pointer[keys]
}

// keys are the credentials of one moment. They are replaced, never changed.
type keys struct {
	given    Credentials
	own      *authority            // of the cookie; nil with a certificate
	accepted []*authority          // own first
	peers    map[string]*authority // by node name
	serving  *tls.Config           // for diallers without a cookie of their own
	hinted   map[string]*tls.Config
}

// newKeyring makes the keyring of a server that runs the node of a name, which may be empty. sni is the label that this
// process puts first when it dials; it says who dials, in clear, and proves nothing. Errors: ErrBadConfig,
// ErrCookieTooShort.
func newKeyring(c Credentials, mesh, node, sni string) (*keyring, error) {
	if sni == "" {
		sni = defaultSNI
	}
	if !isDNSLabel(sni) {
		return nil, fmt.Errorf("%w: SNI %q is not a DNS label", ErrBadConfig, sni)
	}
	k := &keyring{mesh: mesh, node: node, sni: sni}
	return k, k.set(c)
}

// defaultSNI is the first label of the server name when Config.SNI is empty.
const defaultSNI = "node"

// set replaces the credentials.
func (k *keyring) set(c Credentials) error {
	if err := c.Check(); err != nil {
		return err
	}
	fresh := &keys{given: c, peers: map[string]*authority{}, hinted: map[string]*tls.Config{}}
	if c.Certificate != nil {
		if err := c.Certificate.covers(k.node, time.Now()); err != nil {
			return err
		}
		fresh.serving = k.server(fresh, c.Certificate.Own, c.Certificate.Roots)
		k.now.Store(fresh)
		return nil
	}
	all := x509.NewCertPool()
	for _, cookie := range append([][]byte{c.Cookie}, c.Accept...) {
		a, err := newAuthority(cookie, k.mesh, k.node)
		if err != nil {
			return err
		}
		fresh.accepted = append(fresh.accepted, a)
		all.AddCert(a.cert)
	}
	fresh.own = fresh.accepted[0]
	fresh.serving = k.server(fresh, fresh.own.leaf, all)
	for name, cookie := range c.Peers {
		a, err := newAuthority(cookie, k.mesh, k.node)
		if err != nil {
			return err
		}
		fresh.peers[name] = a
		fresh.hinted[k.hash(name)] = k.server(fresh, a.leaf, a.pool)
	}
	k.now.Store(fresh)
	return nil
}

// usesCertificate says whether the credentials are a certificate rather than cookies.
func (k *keyring) usesCertificate() bool { return k.now.Load().given.Certificate != nil }

// hash is how a dialler says its node's name: not in clear, though whoever can guess the name can tell.
func (k *keyring) hash(node string) string {
	sum := sha256.Sum256([]byte("kith/1/dialler/" + k.mesh + "/" + node))
	return hex.EncodeToString(sum[:16])
}

// config is the TLS configuration of routes, for both roles.
func (k *keyring) config() *tls.Config {
	return &tls.Config{
		ServerName: k.sni + "." + k.hash(k.node) + "." + tlsDomain,
		MinVersion: tls.VersionTLS13,
		// Chains and names are verified, by VerifyConnection: against roots that may change while the server runs, which
		// RootCAs may not.
		InsecureSkipVerify:     true,
		VerifyConnection:       func(s tls.ConnectionState) error { return k.verify(k.now.Load(), s) },
		GetClientCertificate:   k.clientCertificate,
		GetConfigForClient:     k.configFor,
		SessionTicketsDisabled: true, // routes are long-lived; a resumed handshake would save nothing worth its state
	}
}

// server is the configuration of the server's role, with a certificate to show and the authorities to ask for.
func (k *keyring) server(of *keys, show tls.Certificate, ask *x509.CertPool) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{show},
		ClientAuth:             tls.RequireAnyClientCert, // verified by VerifyConnection
		ClientCAs:              ask,
		VerifyConnection:       func(s tls.ConnectionState) error { return k.verify(of, s) },
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true,
	}
}

// configFor chooses what to show to a dialler.
func (k *keyring) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	now := k.now.Load()
	if len(now.hinted) > 0 {
		if _, rest, found := strings.Cut(hello.ServerName, "."); found {
			hint, _, _ := strings.Cut(rest, ".")
			if c := now.hinted[hint]; c != nil {
				return c, nil
			}
		}
	}
	return now.serving, nil
}

// clientCertificate chooses what to show to the node that was dialled: what it asks for, if this one has it. Otherwise the
// other refuses, and both can say why.
func (k *keyring) clientCertificate(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	now := k.now.Load()
	if now.given.Certificate != nil {
		return &now.given.Certificate.Own, nil
	}
	wanted := func(a *authority) bool {
		for _, subject := range asked.AcceptableCAs {
			if bytes.Equal(subject, a.cert.RawSubject) {
				return true
			}
		}
		return false
	}
	if !wanted(now.own) {
		for _, a := range now.peers {
			if wanted(a) {
				return &a.leaf, nil
			}
		}
	}
	return &now.own.leaf, nil
}

// verify decides whether the other end of a connection is let in. Errors: ErrCookie, ErrMesh, ErrCertificate.
func (k *keyring) verify(now *keys, state tls.ConnectionState) error {
	chain := state.PeerCertificates
	if len(chain) == 0 {
		return ErrCookie
	}
	if c := now.given.Certificate; c != nil {
		if isKithIssuer(chain[0].Issuer) {
			return fmt.Errorf("%w: the other has a cookie and none", ErrCertificate)
		}
		return c.verify(chain, time.Now())
	}
	issuer := chain[0].Issuer
	switch {
	case !isKithIssuer(issuer):
		return fmt.Errorf("%w: the other has a certificate of its own, and no cookie", ErrCookie)
	case issuer.CommonName != k.mesh:
		return fmt.Errorf("%w: %q", ErrMesh, issuer.CommonName)
	}
	allowed := now.accepted
	for _, name := range identity.Names(chain[0]) {
		if a := now.peers[name]; a != nil {
			allowed = []*authority{a}
		}
	}
	for _, a := range allowed {
		if identity.Verify(chain, a.pool, time.Now()) == nil {
			return nil
		}
	}
	return ErrCookie
}
