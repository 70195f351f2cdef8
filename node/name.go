package node

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kith-mesh/kith/internal/address"
	"github.com/kith-mesh/kith/internal/membership"
)

// ParseName splits a node's full name into its name part and its host (NET-01). The name part is 1 to 64 of
// [A-Za-z0-9_-]; the host is a DNS name, an IPv4 address, or an IPv6 address in brackets. There is one form of names:
// no short ones (NET-08). The error wraps ErrBadName and says what is wrong.
func ParseName(full string) (name, host string, err error) {
	name, host, err = address.ParseNode(full)
	if err != nil {
		return "", "", fmt.Errorf("%w: %q %w", ErrBadName, full, err)
	}
	return name, host, nil
}

// The broker's server carries the node's identity in its name, so that a route tells who is at its other end:
// NAME@HOST#INCARNATION, with #h behind it for a hidden node. A store's server has the name alone, since JetStream's
// agreement knows it by that; its incarnation comes by announcement.
const hiddenSuffix = "#h"

func serverName(id ID, hidden bool) string {
	s := fmt.Sprintf("%s#%016x", id.Name, id.Incarnation)
	if hidden {
		s += hiddenSuffix
	}
	return s
}

func parseServerName(s string) (id membership.ID, hidden, ok bool) {
	s, hidden = strings.CutSuffix(s, hiddenSuffix)
	name, hex, found := strings.Cut(s, "#")
	if !found {
		_, _, err := ParseName(name)
		return membership.ID{Name: name}, hidden, err == nil // a store
	}
	inc, err := strconv.ParseUint(hex, 16, 64)
	if err != nil || inc == 0 {
		return membership.ID{}, false, false
	}
	if _, _, err := ParseName(name); err != nil {
		return membership.ID{}, false, false
	}
	return membership.ID{Name: name, Incarnation: inc}, hidden, true
}
