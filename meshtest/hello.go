package meshtest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
)

// peekDialler reads from a dialler until it has said, in the server name of its TLS hello, who it is. It returns the
// first label of that name and what was read. The label is empty for a dialler that does not speak TLS. Nothing is
// answered, and TLS is not terminated: what was read goes on to the target.
func peekDialler(conn net.Conn) (label string, read []byte, err error) {
	var seen bytes.Buffer
	listener := eavesdropper{Conn: conn, from: io.TeeReader(conn, &seen)}
	name, heard := "", false
	err = tls.Server(listener, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			name, heard = hello.ServerName, true
			return nil, errHeard
		},
	}).Handshake()
	var record tls.RecordHeaderError
	if !heard && !errors.As(err, &record) {
		return "", nil, err
	}
	label, _, _ = strings.Cut(name, ".")
	return label, seen.Bytes(), nil
}

// errHeard ends the handshake that peekDialler only pretends to make.
var errHeard = errors.New("heard enough")

// eavesdropper is a connection on which nothing can be said.
type eavesdropper struct {
	net.Conn
	from io.Reader
}

func (e eavesdropper) Read(p []byte) (int, error)  { return e.from.Read(p) }
func (e eavesdropper) Write(p []byte) (int, error) { return len(p), nil }
