package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
)

// certificateAlerts are the alerts by which a peer says that it does not accept our certificate (RFC 8446, section 6):
// bad certificate, unknown authority, certificate required.
var certificateAlerts = [...]tls.AlertError{42, 48, 116}

// handshakeError turns the error of a TLS handshake, or of the first read after it, into ErrCookie, ErrMesh or
// ErrCertificate when that is what it means, and into nil when it means something else. A side that is turned away cannot
// tell another mesh from another cookie; the side that turns away can.
func (k *keyring) handshakeError(err error) error {
	if k == nil {
		return nil // plain text: somebody else's handshake
	}
	for _, known := range []error{ErrCookie, ErrMesh, ErrCertificate} {
		if errors.Is(err, known) {
			return err
		}
	}
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" || remote.Err == nil {
		return nil
	}
	for _, alert := range certificateAlerts {
		// crypto/tls gives alerts from the wire a type of its own that it does not export.
		if remote.Err.Error() != alert.Error() {
			continue
		}
		if k.usesCertificate() {
			return fmt.Errorf("%w by the other side; its log says why", ErrCertificate)
		}
		return ErrCookie
	}
	return nil
}
