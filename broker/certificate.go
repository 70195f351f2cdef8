package broker

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/kith-mesh/kith/internal/cookie"
	"github.com/kith-mesh/kith/internal/identity"
)

// Certificate is a node's own certificate, from an authority that the nodes of a mesh trust, in place of a cookie.
//
// A certificate says for which nodes it stands. With an alternative name that is a URI such as kith:alice@db1.example.com it
// stands for the nodes of these names, in which * is any run of characters and ? any one; without one it stands for every
// node whose host, the part behind the @, is one of its DNS names or IP addresses. It must be valid for speaking as a server
// or as a client.
type Certificate struct {
	// Own is what this node shows, its chain, and its private key: Ed25519, ECDSA or RSA.
	Own tls.Certificate
	// Roots are the authorities whose certificates are accepted. Use some that issue to this mesh only: every certificate of
	// theirs that stands for a host lets nodes of that host in.
	Roots *x509.CertPool
}

// LoadCertificate reads a certificate with its chain, its key, and the authorities to trust from files in PEM. A key that
// others than its owner may read is refused. Errors: ErrCertificate, and those of reading files.
func LoadCertificate(certFile, keyFile, rootsFile string) (*Certificate, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	key, err := cookie.Read(keyFile) // who has it is this node, as who has the cookie is of the mesh
	if err != nil {
		return nil, fmt.Errorf("reading a certificate's key: %w", err)
	}
	roots, err := os.ReadFile(rootsFile)
	if err != nil {
		return nil, fmt.Errorf("reading authorities: %w", err)
	}
	own, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%w: %s with %s: %w", ErrCertificate, certFile, keyFile, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return nil, fmt.Errorf("%w: %s holds no authority", ErrCertificate, rootsFile)
	}
	return &Certificate{Own: own, Roots: pool}, nil
}

// leaf is the certificate itself.
func (c *Certificate) leaf() (*x509.Certificate, error) {
	if c.Own.Leaf != nil {
		return c.Own.Leaf, nil
	}
	if len(c.Own.Certificate) == 0 {
		return nil, fmt.Errorf("%w: there is none", ErrCertificate)
	}
	leaf, err := x509.ParseCertificate(c.Own.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return leaf, nil
}

// Expires is when the certificate ends, or the zero time where it cannot be read.
func (c *Certificate) Expires() time.Time {
	leaf, err := c.leaf()
	if err != nil {
		return time.Time{}
	}
	return leaf.NotAfter
}

// Covers checks that the certificate stands for the node of a name, NAME@HOST, comes from its own authorities and is valid
// now. Errors: ErrCertificate, with the reason.
func (c *Certificate) Covers(name string) error { return c.covers(name, time.Now()) }

// Hosts are the hosts of node names that the certificate may stand for, without those that are patterns.
func (c *Certificate) Hosts() []string {
	leaf, err := c.leaf()
	if err != nil {
		return nil
	}
	return identity.Hosts(leaf)
}

// check refuses what cannot be used at all.
func (c *Certificate) check() error {
	if _, err := c.leaf(); err != nil {
		return err
	}
	if c.Roots == nil {
		return fmt.Errorf("%w: no authorities are given", ErrCertificate)
	}
	if _, err := identity.Sign(c.Own.PrivateKey, nil); err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return nil
}

// covers checks this node's own certificate as its peers will: better it learns that here than that nobody lets it in. An
// empty name is not looked at.
func (c *Certificate) covers(node string, now time.Time) error {
	chain, err := identity.Parse(c.Own.Certificate)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if err := c.verify(chain, now); err != nil {
		return err
	}
	if node == "" {
		return nil
	}
	if err := identity.Match(chain[0], node); err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return nil
}

// verify checks the chain of another.
func (c *Certificate) verify(chain []*x509.Certificate, now time.Time) error {
	if err := identity.Verify(chain, c.Roots, now); err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return nil
}

// Prove signs data with the certificate's key and returns the signature and the chain that goes with it. Errors:
// ErrCertificate.
func (c *Certificate) Prove(data []byte) (sig []byte, chain [][]byte, err error) {
	sig, err = identity.Sign(c.Own.PrivateKey, data)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return sig, c.Own.Certificate, nil
}

// CheckProof checks that data was signed by the holder of a certificate that these authorities vouch for now, and that
// stands for the node. Errors: ErrCertificate.
func (c *Certificate) CheckProof(node string, data, sig []byte, chain [][]byte) error {
	if len(chain) == 0 || len(sig) == 0 {
		return fmt.Errorf("%w: %s proves nothing", ErrCertificate, node)
	}
	certs, err := identity.Parse(chain)
	if err == nil {
		err = identity.Verify(certs, c.Roots, time.Now())
	}
	if err == nil {
		err = identity.Match(certs[0], node)
	}
	if err == nil {
		err = identity.CheckSignature(certs[0], data, sig)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return nil
}
