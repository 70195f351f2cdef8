package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Verify checks that the first certificate of a chain comes from one of the authorities, through the others, and is valid
// now for speaking as a server or as a client: a node is both. Errors: ErrUntrusted, ErrExpired.
func Verify(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: there is none", ErrUntrusted)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err == nil {
		return nil
	}
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		c := invalid.Cert
		return fmt.Errorf("%w: it is valid from %s to %s", ErrExpired, c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("%w: %w", ErrUntrusted, err)
}

// maxChain bounds the certificates of one chain.
const maxChain = 8

// Parse reads a chain as it travels. Errors: ErrUntrusted.
func Parse(raw [][]byte) ([]*x509.Certificate, error) {
	if len(raw) == 0 || len(raw) > maxChain {
		return nil, fmt.Errorf("%w: a chain of %d certificates, and not of 1 to %d", ErrUntrusted, len(raw), maxChain)
	}
	chain := make([]*x509.Certificate, 0, len(raw))
	for _, der := range raw {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
		}
		chain = append(chain, c)
	}
	return chain, nil
}
