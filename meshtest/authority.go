package meshtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kith-mesh/kith/broker"
)

// Authority issues certificates to nodes of a test that have some of their own rather than a cookie. Its methods fail the
// test where they cannot do what they are asked, and must be called on its goroutine.
type Authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority that nobody else has.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t}
	a.key = a.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = a.create(template, template, a.key)
	return a
}

func (a *Authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

// create has the authority, whose key there is from the start, sign a certificate for a key.
func (a *Authority) create(template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// Issue returns a certificate that is valid for a day and trusts this authority. Each name is that of a node, or a pattern
// of nodes, if it has an @, else a host or an IP address.
func (a *Authority) Issue(names ...string) *broker.Certificate {
	a.t.Helper()
	return a.IssueUntil(time.Now().Add(24*time.Hour), names...)
}

// IssueUntil is Issue with the end of the certificate's time, which may have passed.
func (a *Authority) IssueUntil(end time.Time, names ...string) *broker.Certificate {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: end.Add(-48 * time.Hour), NotAfter: end, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		switch ip := net.ParseIP(name); {
		case strings.Contains(name, "@"):
			template.URIs = append(template.URIs, &url.URL{Scheme: "kith", Opaque: name})
		case ip != nil:
			template.IPAddresses = append(template.IPAddresses, ip)
		default:
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key := a.newKey()
	leaf := a.create(template, a.cert, key)
	return &broker.Certificate{
		Own:   tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf},
		Roots: a.Roots(),
	}
}

// Roots are the authority itself, as those who trust it know it.
func (a *Authority) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Write puts a certificate, its key and the authority into PEM files in a folder, in place of those that are there, and
// returns their paths: what broker.LoadCertificate reads.
func (a *Authority) Write(dir string, c *broker.Certificate) (certFile, keyFile, rootsFile string) {
	a.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.Own.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			a.t.Fatal(err)
		}
		return path
	}
	return write("node.crt", "CERTIFICATE", c.Own.Certificate[0]), write("node.key", "PRIVATE KEY", der),
		write("roots.crt", "CERTIFICATE", a.cert.Raw)
}
