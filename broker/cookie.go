package broker

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// The cookie becomes mutual TLS in three steps:
//
//	cookie --HKDF-SHA256--> seed of an Ed25519 key --> a certificate authority, the same one in every process
//	a fresh key per process --signed by that authority--> the leaf certificate this process shows
//	one tls.Config with the authority as the only root, for the client's role and for the server's
//
// Whoever holds the cookie can make the authority, and therefore a leaf that the others accept; nobody else can. The
// cookie never travels. The mesh's name goes into the derivation, so one cookie used in two meshes does not join them.
//
// A certificate allows guessing the cookie offline. The derivation is fast, so the cookie itself must be random; 16
// bytes is the least accepted and 32 random bytes are what a node makes for itself.

const (
	// minCookie is the least length of a cookie in bytes: 128 bits if they are random.
	minCookie = 16
	// tlsDomain is the domain of the names on leaf certificates and in the server name a dialler asks for. It is never
	// resolved: it only has to be the same on both sides.
	tlsDomain = "kith.mesh"
	// defaultSNI is the first label of the server name when Config.SNI is empty.
	defaultSNI = "node"

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

// routeTLS derives the TLS configuration of routes. The result serves both roles and is not changed afterwards. sni is
// the label that this process puts before tlsDomain when it dials; it says who dials, in clear, and proves nothing.
func routeTLS(cookie []byte, mesh, sni string) (*tls.Config, error) {
	if len(cookie) < minCookie {
		return nil, fmt.Errorf("%w: it has %d bytes, at least %d are needed", ErrCookieTooShort, len(cookie), minCookie)
	}
	if sni == "" {
		sni = defaultSNI
	}
	if !isDNSLabel(sni) {
		return nil, fmt.Errorf("%w: SNI %q is not a DNS label", ErrBadConfig, sni)
	}
	seed, err := hkdf.Key(sha256.New, cookie, []byte(cookieSalt+mesh), cookieInfo, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("deriving the mesh key: %w", err)
	}
	caKey := ed25519.NewKeyFromSeed(seed)
	ca, err := makeCA(caKey, mesh)
	if err != nil {
		return nil, err
	}
	leaf, err := makeLeaf(ca, caKey)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	return &tls.Config{
		Certificates:           []tls.Certificate{leaf},
		RootCAs:                roots,
		ClientCAs:              roots,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ServerName:             sni + "." + tlsDomain,
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true, // routes are long-lived; a resumed handshake would save nothing worth its state
	}, nil
}

func makeCA(key ed25519.PrivateKey, mesh string) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		// The issuer's name is how a dialler tells another mesh from another cookie. It is not a secret.
		Subject:               pkix.Name{Organization: []string{tlsDomain}, CommonName: mesh},
		NotBefore:             certNotBefore,
		NotAfter:              certNotAfter,
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	return signed(template, template, key.Public(), key)
}

func makeLeaf(ca *x509.Certificate, caKey ed25519.PrivateKey) (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate serial: %w", err)
	}
	cert, err := signed(&x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{tlsDomain}},
		DNSNames:     []string{"*." + tlsDomain},
		NotBefore:    certNotBefore,
		NotAfter:     certNotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, ca, public, caKey)
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

// certificateAlerts are the alerts by which a peer says that it does not accept our certificate (RFC 8446, section 6):
// bad certificate, unknown authority, certificate required.
var certificateAlerts = [...]tls.AlertError{42, 48, 116}

// handshakeError turns the error of a TLS handshake, or of the first read after it, into ErrCookie or ErrMesh when that
// is what it means, and into nil when it means something else. mesh is this side's mesh. A side that is turned away
// cannot tell another mesh from another cookie; the side that turns away can.
func handshakeError(err error, mesh string) error {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		if c := unknown.Cert; c != nil && isKithIssuer(c.Issuer) && c.Issuer.CommonName != mesh {
			return fmt.Errorf("%w: %q", ErrMesh, c.Issuer.CommonName)
		}
		return ErrCookie
	}
	var remote *net.OpError
	if errors.As(err, &remote) && remote.Op == "remote error" && remote.Err != nil {
		for _, alert := range certificateAlerts {
			// crypto/tls gives alerts from the wire a type of its own that it does not export.
			if remote.Err.Error() == alert.Error() {
				return ErrCookie
			}
		}
	}
	return nil
}

func isKithIssuer(name pkix.Name) bool {
	return len(name.Organization) == 1 && name.Organization[0] == tlsDomain
}
