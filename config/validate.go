package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kith-mesh/kith/internal/address"
)

// Validate checks every value by the rules of its key, and the values against each other. Zero values pass: they mean
// the default. The error is an [*Error]. Load calls it; only who changed or made a Config needs to.
func (c *Config) Validate() error {
	var scratch Config
	for i := range keys {
		k := &keys[i]
		words := k.field(c).words()
		if len(words) == 0 {
			continue
		}
		if err := k.field(&scratch).set(words); err != nil {
			e := &Error{Key: k.name, Value: strings.Join(words, ","), Origin: c.origins[k.name].place, Allowed: k.allowed, Err: err}
			if k.secret {
				e.Value = hidden
			}
			return e
		}
	}
	return c.checkTogether()
}

// checkTogether holds the rules that concern several keys.
func (c *Config) checkTogether() error {
	client := c.Mode == ModeLeaf || c.Mode == ModeExternal
	switch {
	case client && len(c.Servers) == 0:
		return c.Reject("mode", errors.New("needs --servers, which is empty"))
	case c.Mode == ModeLeaf && slices.ContainsFunc(c.Servers, func(s string) bool { return strings.Contains(s, "://") }):
		return c.Reject("servers", errors.New("must be HOST:PORT in the mode leaf: see --leaf-listen"))
	case client && c.LeafListen != "":
		return c.Reject("leaf-listen", errors.New("is only for the mode embedded"))
	case !client && len(c.Servers) > 0:
		return c.Reject("servers", errors.New("is only for the modes leaf and external"))
	case c.Cookie != "" && c.CookieFile != "":
		return c.Reject("cookie-file", errors.New("stands beside a cookie: give one of them"))
	case c.ClientUsers != "" && c.ClientListen == "":
		return c.Reject("client-users", errors.New("needs --client-listen, which is empty"))
	}
	if !client {
		if err := c.checkReachable(); err != nil {
			return err
		}
	}
	return c.checkCertificate()
}

// checkReachable holds that peers are told an address that they can dial: at 0.0.0.0 each would ask itself.
func (c *Config) checkReachable() error {
	switch {
	case address.Everywhere(c.Advertise):
		return c.Reject("advertise", errors.New("is no address that others can dial: give one that they reach this host at"))
	case c.Advertise == "" && address.Everywhere(c.ClusterListen):
		_, host, _ := strings.Cut(c.Name, "@")
		if _, err := address.Own(host); err != nil {
			return c.Reject("cluster-listen", fmt.Errorf("does not say where others reach this node: give that with --advertise HOST:PORT (%w)", err))
		}
	}
	return nil
}

// checkCertificate holds that a certificate is given whole, and instead of cookies for peers.
func (c *Config) checkCertificate() error {
	parts := map[string]string{
		"certificate": c.Certificate, "certificate-key": c.CertificateKey, "certificate-roots": c.CertificateRoots,
	}
	for name, value := range parts {
		if value != "" && (c.Certificate == "" || c.CertificateKey == "" || c.CertificateRoots == "") {
			return c.Reject(name, errors.New("is of no use alone: certificate, certificate-key and certificate-roots go together"))
		}
	}
	if c.Certificate != "" && c.PeerCookies != "" {
		return c.Reject("peer-cookies", errors.New("stands beside a certificate, which takes the place of all cookies"))
	}
	return nil
}

// settleCookie lets a cookie or cookie file that was given nearer to the user replace the other one.
func (c *Config) settleCookie() {
	if c.Cookie == "" || c.CookieFile == "" {
		return
	}
	switch secret, file := c.origins["cookie"].rank, c.origins["cookie-file"].rank; {
	case secret < file:
		c.CookieFile = ""
	case file < secret:
		c.Cookie = ""
	}
}

// settlePaths makes paths absolute, and finds the data dir.
func (c *Config) settlePaths() error {
	if c.DataDir == "" {
		dir, err := stateDir()
		if err != nil {
			return c.Reject("data-dir", err)
		}
		c.DataDir = dir
	}
	for _, p := range []struct {
		key  string
		path *string
	}{
		{"data-dir", &c.DataDir}, {"cookie-file", &c.CookieFile}, {"peer-cookies", &c.PeerCookies}, {"certificate", &c.Certificate},
		{"certificate-key", &c.CertificateKey}, {"certificate-roots", &c.CertificateRoots}, {"client-users", &c.ClientUsers},
	} {
		if *p.path == "" {
			continue
		}
		abs, err := filepath.Abs(*p.path)
		if err != nil {
			return c.Reject(p.key, err)
		}
		*p.path = abs
	}
	return nil
}
