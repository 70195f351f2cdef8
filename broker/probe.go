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

// ProbeConfig says as whom to ask. Mesh and, unless Plaintext is set, Cookie are required; see Config.
type ProbeConfig struct {
	Cookie    []byte
	Plaintext bool
	SNI       string
	Mesh      string
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
// within ctx. Errors: ErrNotListening, ErrHungUp, ErrCookie, ErrMesh, ErrNotNode, ErrCookieTooShort, ErrBadConfig,
// ctx.Err().
func Probe(ctx context.Context, addr string, cfg ProbeConfig) (Probed, error) {
	var config *tls.Config
	if !cfg.Plaintext {
		var err error
		if config, err = routeTLS(cfg.Cookie, cfg.Mesh, cfg.SNI); err != nil {
			return Probed{}, err
		}
	}
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return Probed{}, probeError(ctx, addr, cfg.Mesh, err)
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn := raw
	if config != nil {
		secure := tls.Client(raw, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return Probed{}, probeError(ctx, addr, cfg.Mesh, err)
		}
		conn = secure
	}
	line, err := bufio.NewReaderSize(io.LimitReader(conn, maxInfo), 4<<10).ReadBytes('\n')
	if err != nil {
		return Probed{}, probeError(ctx, addr, cfg.Mesh, err)
	}
	return introduction(line, addr, cfg.Mesh)
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

// probeError says what an error on the way means.
func probeError(ctx context.Context, addr, mesh string, err error) error {
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
	if known := handshakeError(err, mesh); known != nil {
		return fmt.Errorf("%w (at %s)", known, addr)
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
