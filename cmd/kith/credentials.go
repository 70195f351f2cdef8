package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/internal/cookie"
	"github.com/kith-mesh/kith/node"
)

// credentials are what lets this node in: what the configuration says, and the files that it names hold at this moment.
type credentials struct {
	cookies     [][]byte // the first is shown, all are accepted; nil with a certificate, unless some were given for gossip
	peers       map[string][]byte
	certificate *broker.Certificate
}

// loadCredentials reads them. The cookie is given, in the file that is named, or in the data dir, where it is made on first
// use, unless there is a certificate.
func loadCredentials(cfg *config.Config) (c credentials, err error) {
	if cfg.Certificate != "" {
		c.certificate, err = broker.LoadCertificate(cfg.Certificate, cfg.CertificateKey, cfg.CertificateRoots)
		if err != nil {
			return c, cfg.Reject("certificate", err)
		}
	}
	if cfg.PeerCookies != "" {
		if c.peers, err = cookie.LoadPeers(cfg.PeerCookies); err != nil {
			return c, cfg.Reject("peer-cookies", err)
		}
	}
	switch {
	case cfg.Cookie != "":
		c.cookies = [][]byte{[]byte(cfg.Cookie)}
	case cfg.CookieFile != "":
		if c.cookies, err = cookie.LoadAll(cfg.CookieFile); err != nil {
			return c, cfg.Reject("cookie-file", err)
		}
	case c.certificate == nil:
		path := filepath.Join(cfg.DataDir, "cookie")
		if _, err = cookie.LoadOrCreate(path); err == nil {
			c.cookies, err = cookie.LoadAll(path)
		}
	}
	return c, err
}

// configure puts the credentials into the configuration of a node.
func (c credentials) configure(nc *node.Config) {
	nc.PeerCookies, nc.Certificate = c.peers, c.certificate
	if len(c.cookies) > 0 {
		nc.Cookie, nc.AcceptCookies = c.cookies[0], c.cookies[1:]
	}
}

// apply gives them to a node that runs.
func (c credentials) apply(n *node.Node, before credentials) error {
	var errs []error
	if c.certificate != nil {
		errs = append(errs, n.SetCertificate(c.certificate))
	}
	if len(c.cookies) > 0 { // with a certificate they sign announcements
		errs = append(errs, n.SetCookie(c.cookies[0], c.cookies[1:]...))
	}
	for name := range before.peers {
		if c.peers[name] == nil {
			errs = append(errs, n.SetPeerCookie(name, nil))
		}
	}
	for name, secret := range c.peers {
		errs = append(errs, n.SetPeerCookie(name, secret))
	}
	return errors.Join(errs...)
}

// reloader reads credentials anew for a node that runs.
type reloader struct {
	cfg  config.Config
	node *node.Node       // set before anybody can ask to reload
	log  zerolog.Logger   // likewise
	last chan credentials // of capacity 1: who has them reloads
	// certificate is the one of the moment, for the port of NATS clients; nil where there is none.
	certificate atomic.Pointer[broker.Certificate]
}

func newReloader(cfg config.Config, now credentials) *reloader {
	r := &reloader{cfg: cfg, last: make(chan credentials, 1)}
	r.certificate.Store(now.certificate)
	r.last <- now
	return r
}

// reload reads the files and has the node go by what they hold. When one of them is no good, nothing changes.
func (r *reloader) reload() error {
	before := <-r.last
	now, err := loadCredentials(&r.cfg)
	if err == nil {
		err = now.apply(r.node, before)
	}
	if err != nil {
		r.last <- before
		r.log.Error().Err(err).Msg("cookies and certificates stay as they were: they could not be read anew")
		return err
	}
	r.certificate.Store(now.certificate)
	r.last <- now
	event := r.log.Info().Int("cookies", len(now.cookies)).Int("peer_cookies", len(now.peers))
	if now.certificate != nil {
		event = event.Time("certificate_ends", now.certificate.Expires())
	}
	event.Msg("cookies and certificates were read anew")
	return nil
}

// hangups catches SIGHUP, which would end the program, until release is called.
func hangups() (signals <-chan os.Signal, release func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// onHangup reloads at each SIGHUP until ctx ends.
func (r *reloader) onHangup(ctx context.Context, hangup <-chan os.Signal) {
	go func() {
		for {
			select {
			case <-hangup:
				_ = r.reload() // it is logged
			case <-ctx.Done():
				return
			}
		}
	}()
}
