package identity

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/kith-mesh/kith/internal/address"
	"github.com/kith-mesh/kith/internal/pattern"
)

// Scheme is the scheme of the URIs by which a certificate names nodes.
const Scheme = "kith"

// URI is the alternative name that stands for a node.
func URI(node string) *url.URL { return &url.URL{Scheme: Scheme, Opaque: node} }

// Names are the nodes, or patterns of nodes, that a certificate names by URI. None means that it stands for a host.
func Names(cert *x509.Certificate) []string {
	var names []string
	for _, u := range cert.URIs {
		if u.Scheme == Scheme {
			names = append(names, u.Opaque)
		}
	}
	return names
}

// Match checks that a certificate stands for the node of a name, NAME@HOST. Errors: ErrName.
func Match(cert *x509.Certificate, node string) error {
	if names := Names(cert); len(names) > 0 {
		if slices.ContainsFunc(names, func(p string) bool { return pattern.Match(p, node) }) {
			return nil
		}
		return fmt.Errorf("%w: it names %s, and not %s", ErrName, strings.Join(names, ", "), node)
	}
	_, host, err := address.ParseNode(node)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrName, err)
	}
	if err := cert.VerifyHostname(host); err != nil {
		return fmt.Errorf("%w: it names no node, and its hosts (%s) are not %s", ErrName, strings.Join(hosts(cert), ", "), host)
	}
	return nil
}

// Hosts are the hosts of names of nodes that a certificate may stand for: those behind the @ of the nodes that it names, or
// else its DNS names and IP addresses. Patterns are left out.
func Hosts(cert *x509.Certificate) []string {
	list := hosts(cert)
	if names := Names(cert); len(names) > 0 {
		list = nil
		for _, name := range names {
			_, host, _ := strings.Cut(name, "@")
			list = append(list, host)
		}
	}
	return slices.DeleteFunc(list, func(h string) bool { return h == "" || strings.ContainsAny(h, "*?") })
}

// hosts lists what a certificate says of hosts, as a node's name has them.
func hosts(cert *x509.Certificate) []string {
	list := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		if host := ip.String(); strings.Contains(host, ":") {
			list = append(list, "["+host+"]")
		} else {
			list = append(list, host)
		}
	}
	return list
}
