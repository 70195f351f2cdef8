package identity

import "errors"

var (
	// ErrName is returned for a certificate that does not stand for the node.
	ErrName = errors.New("the certificate is for another node")
	// ErrUntrusted is returned for a certificate of no authority that is trusted, or without the use that nodes need.
	ErrUntrusted = errors.New("the certificate is not trusted")
	// ErrExpired is returned for a certificate that is not valid yet, or no longer.
	ErrExpired = errors.New("the certificate is not valid now")
	// ErrSignature is returned for a signature that the certificate's key did not make.
	ErrSignature = errors.New("the signature is wrong")
	// ErrKey is returned for a key of a kind that cannot sign.
	ErrKey = errors.New("the key cannot sign")
)
