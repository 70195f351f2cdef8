package address

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Range is where something may listen: a host and the ports from From to To, both included. Port 0 is any free port.
type Range struct {
	Host     string
	From, To int
}

// MaxPorts is how many ports a range may have.
const MaxPorts = 1000

// ParseListen reads HOST:PORT, where PORT may be 0, or HOST:FROM-TO. An empty host stands for every address of this
// host, as in ":7000".
func ParseListen(s string) (Range, error) {
	host, ports, err := splitPort(s)
	if err != nil {
		return Range{}, err
	}
	if host != "" {
		if err := CheckHost(host); err != nil {
			return Range{}, err
		}
	}
	low, high, isRange := strings.Cut(ports, "-")
	if !isRange {
		port, err := parsePort(ports, 0)
		return Range{Host: host, From: port, To: port}, err
	}
	from, err := parsePort(low, 1)
	if err != nil {
		return Range{}, err
	}
	to, err := parsePort(high, 1)
	if err != nil {
		return Range{}, err
	}
	if from > to {
		return Range{}, fmt.Errorf("has a range that runs backwards, %d-%d", from, to)
	}
	if n := to - from + 1; n > MaxPorts {
		return Range{}, fmt.Errorf("has a range of %d ports, and the most is %d", n, MaxPorts)
	}
	return Range{Host: host, From: from, To: to}, nil
}

// CheckDial accepts HOST:PORT that can be dialled: a host and a port from 1 to 65535.
func CheckDial(s string) error {
	host, port, err := splitPort(s)
	if err != nil {
		return err
	}
	if err := CheckHost(host); err != nil {
		return err
	}
	_, err = parsePort(port, 1)
	return err
}

// Everywhere says whether HOST:PORT, or HOST:FROM-TO, has no host or one such as 0.0.0.0 or [::]: one may listen there, on
// every address of the host, and nobody else can dial it, since everybody who tries reaches his own host.
func Everywhere(s string) bool {
	host, _, err := splitPort(s)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "" || err == nil && ip.Unmap().IsUnspecified()
}

// splitPort splits at the last colon, so that the brackets of an IPv6 host stay with it.
func splitPort(s string) (host, port string, err error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return "", "", errors.New("has no :PORT")
	}
	return s[:i], s[i+1:], nil
}

// parsePort reads a decimal port of at least lowest.
func parsePort(s string, lowest int) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || int(n) < lowest {
		return 0, fmt.Errorf("has the port %q, which is no number from %d to 65535", s, lowest)
	}
	return int(n), nil
}
