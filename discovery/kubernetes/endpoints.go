package kubernetes

import (
	"fmt"
	"net"
	"strconv"

	v1 "k8s.io/api/discovery/v1"

	"github.com/kith-mesh/kith/discovery"
)

// portRule says at which port of an endpoint the node listens.
type portRule struct {
	number int
	name   string
}

// candidates returns the addresses of a slice. An error says that the slice has no such port, or too many.
func (r portRule) candidates(slice *v1.EndpointSlice) ([]discovery.Candidate, error) {
	if len(slice.Endpoints) == 0 {
		return nil, nil
	}
	port, err := r.port(slice)
	if err != nil {
		return nil, fmt.Errorf("endpointslice %s: %w", slice.Name, err)
	}
	var list []discovery.Candidate
	for _, e := range slice.Endpoints {
		if e.Conditions.Terminating != nil && *e.Conditions.Terminating {
			continue
		}
		// The addresses of one endpoint are interchangeable; the first is the one to use.
		if len(e.Addresses) > 0 {
			addr := net.JoinHostPort(e.Addresses[0], strconv.Itoa(port))
			list = append(list, discovery.Candidate{Addr: addr, Source: "kubernetes"})
		}
	}
	return list, nil
}

// port picks the port of a slice's endpoints.
func (r portRule) port(slice *v1.EndpointSlice) (int, error) {
	if r.number != 0 {
		return r.number, nil
	}
	name := r.name
	if name == "" {
		name = DefaultPortName
	}
	var known []string
	numbers := make(map[string]int)
	for _, p := range slice.Ports {
		if p.Port == nil || *p.Port < 1 || *p.Port > 65535 {
			continue
		}
		n := ""
		if p.Name != nil {
			n = *p.Name
		}
		known = append(known, n)
		numbers[n] = int(*p.Port)
	}
	if port, ok := numbers[name]; ok {
		return port, nil
	}
	switch {
	case r.name != "":
		return 0, fmt.Errorf("no port named %q; there are %q", name, known)
	case len(known) == 0:
		return discovery.DefaultPort, nil
	case len(known) == 1:
		return numbers[known[0]], nil
	}
	return 0, fmt.Errorf("several ports and none named %q: %q; say which, by name or number", name, known)
}
