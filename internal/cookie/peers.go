package cookie

import (
	"bytes"
	"fmt"

	"github.com/kith-mesh/kith/internal/address"
)

// LoadPeers returns the secrets for single peers in the file at path. Each line is NAME@HOST, space, and the secret that is
// for the connection with that node alone; empty lines and lines that begin with # are left out. The file must be as
// private as one with a cookie. Errors: as of Load, and ErrLine for a line of another form.
func LoadPeers(path string) (map[string][]byte, error) {
	data, err := Read(path)
	if err != nil {
		return nil, err
	}
	peers, number := map[string][]byte{}, 0
	for line := range bytes.Lines(data) {
		number++
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		name, secret, _ := bytes.Cut(line, []byte(" "))
		switch _, _, err := address.ParseNode(string(name)); {
		case err != nil:
			return nil, fmt.Errorf("%w: %s:%d: the name %w", ErrLine, path, number, err)
		case len(secret) < MinLen:
			return nil, fmt.Errorf("%w: %s:%d: the secret for %s must hold at least %d bytes, and holds %d", ErrLength, path, number, name, MinLen, len(secret))
		case peers[string(name)] != nil:
			return nil, fmt.Errorf("%w: %s:%d: %s stands there twice", ErrLine, path, number, name)
		}
		peers[string(name)] = secret
	}
	return peers, nil
}
