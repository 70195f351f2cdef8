package broker

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// maxInfo bounds the first line of a server in bytes.
const maxInfo = 64 << 10

// ProbeConfig says as whom to ask. Mesh and, unless Plaintext is set, Cookie or Certificate are required; see Config.
type ProbeConfig struct {
	Cookie      []byte
	Accept      [][]byte
	PeerCookies map[string][]byte
	Certificate *Certificate
	Node        string
	Plaintext   bool
	SNI         string
	Mesh        string
}

// Probed is who answered.
type Probed struct {
	// ServerName is the peer's Config.ServerName, ServerID its server's id, new at every start.
	ServerName, ServerID string
	// Mesh is the peer's mesh; with ErrMesh too, when it is known.
	Mesh string
}

// Probe asks the server whose cluster listener is at addr, HOST:PORT, who it is, without becoming a route: it connects,
// shakes hands, reads the line in which the server introduces itself, and hangs up. It blocks until there is an answer,
// within ctx. Errors: ErrNotListening, ErrHungUp, ErrCookie, ErrCertificate, ErrMesh, ErrNotNode, ErrCookieTooShort,
// ErrBadConfig, ctx.Err(). A running server asks with its own credentials: see Broker.Probe.
func Probe(ctx context.Context, addr string, cfg ProbeConfig) (Probed, error) {
	p := prober{mesh: cfg.Mesh}
	if !cfg.Plaintext {
		given := Credentials{Cookie: cfg.Cookie, Accept: cfg.Accept, Peers: cfg.PeerCookies, Certificate: cfg.Certificate}
		keys, err := newKeyring(given, cfg.Mesh, cfg.Node, cfg.SNI)
		if err != nil {
			return Probed{}, err
		}
		p.keys, p.config = keys, keys.config()
	}
	return p.probe(ctx, addr)
}

// Probe is the function Probe, as this server: with the credentials that it has now. Errors: as there.
func (b *Broker) Probe(ctx context.Context, addr string) (Probed, error) {
	return prober{mesh: b.cfg.Mesh, keys: b.keys, config: b.tls}.probe(ctx, addr)
}

// prober is who asks.
type prober struct {
	mesh   string
	keys   *keyring // nil in plain text
	config *tls.Config
}

func (p prober) probe(ctx context.Context, addr string) (Probed, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return Probed{}, p.explain(ctx, addr, err)
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn := raw
	if p.config != nil {
		secure := tls.Client(raw, p.config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return Probed{}, p.explain(ctx, addr, err)
		}
		conn = secure
	}
	line, err := bufio.NewReaderSize(io.LimitReader(conn, maxInfo), 4<<10).ReadBytes('\n')
	if err != nil {
		return Probed{}, p.explain(ctx, addr, err)
	}
	return introduction(line, addr, p.mesh)
}

// introduction reads the first line of a cluster listener.
func introduction(line []byte, addr, mesh string) (Probed, error) {
	var info struct {
		ID       string `json:"server_id"`
		Name     string `json:"server_name"`
		Cluster  string `json:"cluster"`
		ClientID uint64 `json:"client_id"`
	}
	body, isInfo := bytes.CutPrefix(line, []byte("INFO "))
	if !isInfo || json.Unmarshal(body, &info) != nil || info.ID == "" || info.Name == "" {
		return Probed{}, fmt.Errorf("%w: %s answers something else", ErrNotNode, addr)
	}
	// Only a client listener numbers whom it talks to.
	if info.ClientID != 0 || info.Cluster == "" {
		return Probed{}, fmt.Errorf("%w: %s is a NATS server's client port", ErrNotNode, addr)
	}
	found := Probed{ServerName: info.Name, ServerID: info.ID, Mesh: info.Cluster}
	if info.Cluster != mesh {
		return found, fmt.Errorf("%w: %s is in %q", ErrMesh, addr, info.Cluster)
	}
	return found, nil
}

// explain says what an error on the way means.
func (p prober) explain(ctx context.Context, addr string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: no answer from %s", ctx.Err(), addr)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		if _, has := ctx.Deadline(); has {
			return fmt.Errorf("%w: no answer from %s", context.DeadlineExceeded, addr)
		}
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: %s", ErrNotListening, addr)
	}
	if p.keys != nil {
		if known := p.keys.handshakeError(err); known != nil {
			return fmt.Errorf("%w (at %s)", known, addr)
		}
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return fmt.Errorf("%w: %s does not speak TLS", ErrNotNode, addr)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("%w: %s", ErrHungUp, addr)
	}
	return fmt.Errorf("probing %s: %w", addr, err)
}
