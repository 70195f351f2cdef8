package address

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

const (
	// MaxName is the longest name part of a node in bytes.
	MaxName = 64
	// maxDNS and maxLabel are the limits of DNS for a name and for one label of it, in bytes.
	maxDNS   = 253
	maxLabel = 63
)

// NameRule and HostRule say in words what CheckName and CheckHost accept, for the messages of those who refuse.
const (
	NameRule = "1 to 64 letters, digits, _ or -"
	HostRule = "a DNS name, an IPv4 address or an IPv6 address in brackets"
)

// ParseNode splits a node's full name, NAME@HOST, and checks both parts.
func ParseNode(full string) (name, host string, err error) {
	name, host, found := strings.Cut(full, "@")
	if !found {
		return "", "", errors.New("has no @HOST")
	}
	if err := CheckName(name); err != nil {
		return "", "", err
	}
	if err := CheckHost(host); err != nil {
		return "", "", err
	}
	return name, host, nil
}

// CheckName accepts the name part of a node: what NameRule says.
func CheckName(name string) error {
	if name == "" {
		return errors.New("has an empty name part")
	}
	if len(name) > MaxName {
		return fmt.Errorf("has a name part of %d bytes", len(name))
	}
	for _, r := range name {
		if !isAlnum(r) && r != '_' && r != '-' {
			return fmt.Errorf("has %q in its name part", r)
		}
	}
	return nil
}

// CheckHost accepts a host: what HostRule says. IPv6 zones are refused, since they mean something on one host only.
func CheckHost(host string) error {
	if host == "" {
		return errors.New("has an empty host")
	}
	if inner, found := strings.CutPrefix(host, "["); found {
		inner, found = strings.CutSuffix(inner, "]")
		if ip, err := netip.ParseAddr(inner); !found || err != nil || !ip.Is6() || ip.Zone() != "" {
			return fmt.Errorf("has %q, which is no IPv6 address in brackets", host)
		}
		return nil
	}
	if strings.Contains(host, ":") {
		return fmt.Errorf("has the host %q: an IPv6 address needs brackets", host)
	}
	if strings.Trim(host, "0123456789.") == "" {
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("has %q, which is no IPv4 address", host)
		}
		return nil
	}
	return checkDNS(host)
}

// checkDNS accepts a DNS name without a trailing dot. Underscores are taken too: names that container tools give out
// have them.
func checkDNS(host string) error {
	if len(host) > maxDNS {
		return fmt.Errorf("has a host of %d bytes", len(host))
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("has %q, which is no DNS name", host)
		}
		for _, r := range label {
			if !isAlnum(r) && r != '_' && r != '-' {
				return fmt.Errorf("has %q in its host", r)
			}
		}
	}
	return nil
}

func isAlnum(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
