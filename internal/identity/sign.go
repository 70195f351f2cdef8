package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
)

// Sign signs data with a certificate's private key: Ed25519, ECDSA or RSA (PSS), with SHA-256 where the kind of key leaves
// the choice. Errors: ErrKey.
func Sign(key crypto.PrivateKey, data []byte) ([]byte, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: it is of type %T", ErrKey, key)
	}
	digest, opts := data, crypto.SignerOpts(crypto.Hash(0))
	switch signer.Public().(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		digest, opts = sum(data), crypto.SHA256
	case *rsa.PublicKey:
		digest = sum(data)
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	default:
		return nil, fmt.Errorf("%w: it is of type %T", ErrKey, key)
	}
	sig, err := signer.Sign(rand.Reader, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return sig, nil
}

func sum(data []byte) []byte {
	s := sha256.Sum256(data)
	return s[:]
}

// CheckSignature checks what Sign made with the key of cert. Errors: ErrSignature.
func CheckSignature(cert *x509.Certificate, data, sig []byte) error {
	var algorithm x509.SignatureAlgorithm
	switch cert.PublicKey.(type) {
	case ed25519.PublicKey:
		algorithm = x509.PureEd25519
	case *ecdsa.PublicKey:
		algorithm = x509.ECDSAWithSHA256
	case *rsa.PublicKey:
		algorithm = x509.SHA256WithRSAPSS
	}
	if err := cert.CheckSignature(algorithm, data, sig); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}
