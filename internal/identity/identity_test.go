package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// authority makes certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  ed25519.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	return authority{create(t, template, template, public, private), private}
}

func create(t *testing.T, template, parent *x509.Certificate, public, key any) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a authority) issue(t *testing.T, public any, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	return create(t, template, a.cert, public, a.key)
}

func TestMatch(t *testing.T) {
	a := newAuthority(t)
	uri := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			for _, n := range names {
				c.URIs = append(c.URIs, URI(n))
			}
		}
	}
	host := func(c *x509.Certificate) {
		c.DNSNames = []string{"db1.example.com", "*.web.example.com"}
		c.IPAddresses = []net.IP{net.ParseIP("10.0.0.1"), net.ParseIP("::1")}
	}
	rows := []struct {
		title, node string
		change      func(*x509.Certificate)
		ok          bool
	}{
		{"by_name", "a@h", uri("a@h"), true},
		{"by_another_name", "b@h", uri("a@h"), false},
		{"one_of_two", "b@h", uri("a@h", "b@h"), true},
		{"by_pattern", "query-1@10.0.0.1", uri("query-*@10.0.0.*"), true},
		{"ipv6_by_name", "a@[::1]", uri("a@[::1]"), true},
		{"by_host", "x@db1.example.com", host, true},
		{"by_wildcard_host", "x@a.web.example.com", host, true},
		{"by_address", "x@10.0.0.1", host, true},
		{"by_ipv6_address", "x@[::1]", host, true},
		{"other_host", "x@db2.example.com", host, false},
		{"a_name_rules_its_host_out", "b@10.0.0.1", func(c *x509.Certificate) { host(c); uri("a@10.0.0.1")(c) }, false},
		{"foreign_uri_is_no_name", "x@10.0.0.1", func(c *x509.Certificate) {
			host(c)
			c.URIs = []*url.URL{{Scheme: "spiffe", Host: "x", Path: "/y"}}
		}, true},
		{"nothing", "a@h", nil, false},
		{"no_name", "a", host, false},
	}
	public, _, _ := ed25519.GenerateKey(rand.Reader)
	for _, row := range rows {
		t.Run(row.title, func(t *testing.T) {
			err := Match(a.issue(t, public, row.change), row.node)
			if row.ok && err != nil || !row.ok && !errors.Is(err, ErrName) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	public, _, _ := ed25519.GenerateKey(rand.Reader)
	leaf := a.issue(t, public, nil)
	roots := func(list ...*x509.Certificate) *x509.CertPool {
		p := x509.NewCertPool()
		for _, c := range list {
			p.AddCert(c)
		}
		return p
	}
	mail := a.issue(t, public, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} })
	middlePublic, middleKey, _ := ed25519.GenerateKey(rand.Reader)
	middle := a.issue(t, middlePublic, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.BasicConstraintsValid = "middle", true, true
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageCertSign, nil
	})
	far := authority{middle, middleKey}.issue(t, public, nil)
	rows := []struct {
		title string
		chain []*x509.Certificate
		roots *x509.CertPool
		at    time.Time
		want  error
	}{
		{"good", []*x509.Certificate{leaf}, roots(a.cert), now, nil},
		{"one_of_two_roots", []*x509.Certificate{leaf}, roots(b.cert, a.cert), now, nil},
		{"through_another", []*x509.Certificate{far, middle}, roots(a.cert), now, nil},
		{"without_the_other", []*x509.Certificate{far}, roots(a.cert), now, ErrUntrusted},
		{"other_root", []*x509.Certificate{leaf}, roots(b.cert), now, ErrUntrusted},
		{"no_roots", []*x509.Certificate{leaf}, roots(), now, ErrUntrusted},
		{"too_late", []*x509.Certificate{leaf}, roots(a.cert), now.Add(2 * time.Minute), ErrExpired},
		{"too_early", []*x509.Certificate{leaf}, roots(a.cert), now.Add(-2 * time.Minute), ErrExpired},
		{"other_use", []*x509.Certificate{mail}, roots(a.cert), now, ErrUntrusted},
		{"none", nil, roots(a.cert), now, ErrUntrusted},
	}
	for _, row := range rows {
		t.Run(row.title, func(t *testing.T) {
			if err := Verify(row.chain, row.roots, row.at); !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
		})
	}
}

func TestSign(t *testing.T) {
	a := newAuthority(t)
	_, edwards, _ := ed25519.GenerateKey(rand.Reader)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("what was said")
	for title, key := range map[string]crypto.Signer{"ed25519": edwards, "ecdsa": curve, "rsa": old} {
		t.Run(title, func(t *testing.T) {
			cert := a.issue(t, key.Public(), nil)
			sig, err := Sign(key, data)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckSignature(cert, data, sig); err != nil {
				t.Error(err)
			}
			if err := CheckSignature(cert, []byte("something else"), sig); !errors.Is(err, ErrSignature) {
				t.Errorf("other data: %v", err)
			}
			if err := CheckSignature(cert, data, nil); !errors.Is(err, ErrSignature) {
				t.Errorf("no signature: %v", err)
			}
			other := a.issue(t, a.key.Public(), nil)
			if err := CheckSignature(other, data, sig); !errors.Is(err, ErrSignature) {
				t.Errorf("other key: %v", err)
			}
		})
	}
	if _, err := Sign("no key", data); !errors.Is(err, ErrKey) {
		t.Errorf("got %v", err)
	}
}

func TestParse(t *testing.T) {
	a := newAuthority(t)
	if chain, err := Parse([][]byte{a.cert.Raw}); err != nil || len(chain) != 1 || !chain[0].Equal(a.cert) {
		t.Errorf("got %v, %v", chain, err)
	}
	if _, err := Parse([][]byte{{1, 2, 3}}); !errors.Is(err, ErrUntrusted) {
		t.Errorf("got %v", err)
	}
}
