package broker

import "errors"

var (
	// ErrClosed is returned by every call once the broker has been shut down or closed.
	ErrClosed = errors.New("broker is closed")
	// ErrBadConfig is returned by Start and Probe for a setting that is missing or malformed; the text says which.
	ErrBadConfig = errors.New("bad broker configuration")
	// ErrInsecure is returned by Start for a listener that is not on loopback and would speak without TLS.
	ErrInsecure = errors.New("refusing to listen beyond loopback without a cookie or certificate")
	// ErrCookieTooShort is returned by Start and Probe for a cookie of less than 16 bytes.
	ErrCookieTooShort = errors.New("cookie too short")
	// ErrPortInUse is returned by Start when every port it was allowed to try is taken.
	ErrPortInUse = errors.New("port in use")
	// ErrListen is returned by Start when the cluster listener cannot be bound for another reason than a taken port.
	ErrListen = errors.New("cannot listen")
	// ErrStart is returned by Start when the embedded server gives up for any other reason; the text is the server's.
	ErrStart = errors.New("embedded server did not start")

	// ErrNoServer is returned by Start and Connect when no external server of the list takes the connection.
	ErrNoServer = errors.New("no NATS server")

	// ErrNotListening is returned by Probe when the address refuses connections.
	ErrNotListening = errors.New("nothing listens there")
	// ErrHungUp is returned by Probe when something accepts the connection and closes it without a word: a node that is
	// just ending, or a forwarder in front of one that has ended.
	ErrHungUp = errors.New("hung up")
	// ErrCookie is returned by Probe when this side or the other does not accept the other's certificate: the cookies
	// differ.
	ErrCookie = errors.New("cookie differs")
	// ErrCertificate is returned by Start, SetCredentials and LoadCertificate for a certificate that cannot be used, and by
	// Probe when this side or the other does not accept the other's certificate; the text says why.
	ErrCertificate = errors.New("certificate not accepted")
	// ErrMesh is returned by Probe when a node of another mesh answers.
	ErrMesh = errors.New("node of another mesh")
	// ErrNotNode is returned by Probe when what answers is no node, or a node that speaks without TLS when this side
	// does not, or the other way round.
	ErrNotNode = errors.New("not a node")
)
