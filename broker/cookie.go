package broker

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/kith-mesh/kith/internal/identity"
)

// A cookie becomes mutual TLS in three steps:
//
//	cookie --HKDF-SHA256--> seed of an Ed25519 key --> a certificate authority, the same one in every process
//	a fresh key per process --signed by that authority--> the certificate this process shows, with its node's name
//	a keyring of such authorities --> the tls.Config of routes, for the client's role and for the server's
//
// Whoever holds the cookie can make the authority, and therefore a certificate that the others accept; nobody else can. The
// cookie never travels. The mesh's name goes into the derivation, so one cookie used in two meshes does not join them.
//
// A certificate allows guessing the cookie offline. The derivation is fast, so the cookie itself must be random; 16
// bytes is the least accepted and 32 random bytes are what a node makes for itself.

const (
	// minCookie is the least length of a cookie in bytes: 128 bits if they are random.
	minCookie = 16
	// tlsDomain is the domain of the names on certificates and in the server name a dialler asks for. It is never
	// resolved: it only has to be the same on both sides.
	tlsDomain = "kith.mesh"

	cookieSalt = "kith/1/route-tls/"
	cookieInfo = "ed25519 certificate authority seed"
)

// The certificates are valid from 2000 to the end of time, so that a wrong clock cannot split a mesh. That gives
// nothing away: they live in memory only, anybody with the cookie can make new ones at any time, and the way to shut
// somebody out is to change the cookie.
var (
	certNotBefore = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	certNotAfter  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// authority is what a cookie becomes: whose certificates are accepted, and the one that this process shows.
type authority struct {
	cert *x509.Certificate
	pool *x509.CertPool
	leaf tls.Certificate
}

// newAuthority derives the authority of a cookie, and has it sign a certificate for a node; node may be empty.
func newAuthority(cookie []byte, mesh, node string) (*authority, error) {
	seed, err := hkdf.Key(sha256.New, cookie, []byte(cookieSalt+mesh), cookieInfo, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("deriving the mesh key: %w", err)
	}
	key := ed25519.NewKeyFromSeed(seed)
	ca, err := makeCA(key, mesh)
	if err != nil {
		return nil, err
	}
	leaf, err := makeLeaf(ca, key, node)
	if err != nil {
		return nil, err
	}
	a := &authority{cert: ca, pool: x509.NewCertPool(), leaf: leaf}
	a.pool.AddCert(ca)
	return a, nil
}

func makeCA(key ed25519.PrivateKey, mesh string) (*x509.Certificate, error) {
	fingerprint := sha256.Sum256(key.Public().(ed25519.PublicKey))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		// The issuer's name is how a dialler tells another mesh from another cookie, and the fingerprint in it how it chooses
		// among several cookies. Neither is a secret.
		Subject: pkix.Name{
			Organization: []string{tlsDomain}, CommonName: mesh, SerialNumber: hex.EncodeToString(fingerprint[:16]),
		},
		NotBefore:             certNotBefore,
		NotAfter:              certNotAfter,
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	return signed(template, template, key.Public(), key)
}

func makeLeaf(ca *x509.Certificate, caKey ed25519.PrivateKey, node string) (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate serial: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{tlsDomain}},
		DNSNames:     []string{"*." + tlsDomain},
		NotBefore:    certNotBefore,
		NotAfter:     certNotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if node != "" {
		template.URIs = []*url.URL{identity.URI(node)}
	}
	cert, err := signed(template, ca, public, caKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: private, Leaf: cert}, nil
}

func signed(template, parent *x509.Certificate, public any, key ed25519.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate back: %w", err)
	}
	return cert, nil
}

func isKithIssuer(name pkix.Name) bool {
	return len(name.Organization) == 1 && name.Organization[0] == tlsDomain
}

// isDNSLabel reports whether s is one lower-case DNS label.
func isDNSLabel(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
