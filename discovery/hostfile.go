package discovery

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// HostFileName is the name of a host file in the working directory and in the home directory.
	HostFileName = ".hosts.kith"
	// maxHostFile is the largest host file in bytes that is read.
	maxHostFile = 1 << 20
	// maxPorts is the largest number of ports that one line may span: each is dialled.
	maxPorts = 100
)

// ErrNoHostFile is returned when there is no host file in any of the places where it is looked for (NET-49).
var ErrNoHostFile = errors.New("no host file")

// Host is a line of a host file: a host and the ports at which its nodes may listen.
type Host struct {
	// Name is the host's name or address.
	Name string
	// From and To are the first and the last port; they are the same for a single port.
	From, To int
}

// Addrs returns an address for each port, HOST:PORT.
func (h Host) Addrs() []string {
	addrs := make([]string, 0, h.To-h.From+1)
	for p := h.From; p <= h.To; p++ {
		addrs = append(addrs, net.JoinHostPort(h.Name, strconv.Itoa(p)))
	}
	return addrs
}

// HostFilePaths returns the places where a host file is looked for, in this order: .hosts.kith in the working
// directory, .hosts.kith in the home directory, kith/hosts in the user's configuration directory. The first file that
// is there is the one (NET-49).
func HostFilePaths() []string {
	var paths []string
	if dir, err := os.Getwd(); err == nil {
		paths = append(paths, filepath.Join(dir, HostFileName))
	}
	if dir, err := os.UserHomeDir(); err == nil {
		paths = append(paths, filepath.Join(dir, HostFileName))
	}
	if dir, err := os.UserConfigDir(); err == nil {
		paths = append(paths, filepath.Join(dir, "kith", "hosts"))
	}
	return paths
}

// ReadHostFile reads the first of paths that exists, or of [HostFilePaths] if none is given, and returns its hosts in
// the order of the file. Hosts without a port have defaultPort. It fails with [ErrNoHostFile] when there is no such
// file (NET-49), and for a line that says something else:
//
//	# a comment
//	alpha.example.org
//	10.0.0.7:4000
//	[fd00::7]:4000-4009
//
// A host between single quotes and a dot at the end of a line are accepted too, so that a .hosts.erlang file can be
// used as it is.
func ReadHostFile(defaultPort int, paths ...string) ([]Host, error) {
	if len(paths) == 0 {
		paths = HostFilePaths()
	}
	for _, path := range paths {
		data, err := readSmall(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("host file: %w", err)
		}
		hosts, err := ParseHosts(data, defaultPort)
		if err != nil {
			return nil, fmt.Errorf("host file %s: %w", path, err)
		}
		return hosts, nil
	}
	return nil, fmt.Errorf("%w: looked for %s", ErrNoHostFile, strings.Join(paths, ", "))
}

// readSmall reads a plain file of at most maxHostFile bytes.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxHostFile {
		return nil, fmt.Errorf("%s is not a plain file of at most %d bytes", path, maxHostFile)
	}
	return os.ReadFile(path)
}

// ParseHosts reads the text of a host file. See [ReadHostFile].
func ParseHosts(data []byte, defaultPort int) ([]Host, error) {
	var hosts []Host
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		line = strings.TrimSuffix(strings.TrimSpace(line), ".")
		if q, ok := strings.CutPrefix(line, "'"); ok {
			line = strings.TrimSuffix(strings.TrimSuffix(q, "'"), ".")
		}
		if line == "" {
			continue
		}
		h, err := parseHost(line, defaultPort)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		hosts = append(hosts, h)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return hosts, nil
}

// parseHost reads HOST, HOST:PORT or HOST:FROM-TO. An IPv6 address with a port stands in brackets.
func parseHost(s string, defaultPort int) (Host, error) {
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil && ip.Is6() {
		return Host{Name: ip.String(), From: defaultPort, To: defaultPort}, nil
	}
	if !strings.Contains(s, ":") {
		return Host{Name: s, From: defaultPort, To: defaultPort}, checkHost(s)
	}
	name, ports, err := net.SplitHostPort(s)
	if err != nil {
		return Host{}, fmt.Errorf("%q is not HOST, HOST:PORT or HOST:FROM-TO", s)
	}
	if err := checkHost(name); err != nil {
		return Host{}, err
	}
	first, last, isRange := strings.Cut(ports, "-")
	if !isRange {
		last = first
	}
	for _, port := range []string{first, last} {
		if err := checkPort(s, port); err != nil {
			return Host{}, err
		}
	}
	from, _ := strconv.Atoi(first)
	to, _ := strconv.Atoi(last)
	if from > to || to-from >= maxPorts {
		return Host{}, fmt.Errorf("%q must span 1 to %d ports", s, maxPorts)
	}
	return Host{Name: name, From: from, To: to}, nil
}

// checkHost refuses what can be neither a name nor an address of a host.
func checkHost(name string) error {
	if _, err := netip.ParseAddr(name); err == nil {
		return nil
	}
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_'
	}
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return fmt.Errorf("%q is not the name of a host", name)
	}
	return nil
}
