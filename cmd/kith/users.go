package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/internal/cookie"
)

// readUsers reads a file with users of the port for NATS clients: a line NAME PASSWORD for each, with the subjects that the
// user may publish and subscribe to behind it, as publish=A,B and subscribe=C. What is left out is the usual. Empty lines,
// and those that begin with #, are left out. The file must be private, as one with a cookie.
func readUsers(path string) ([]broker.ClientUser, error) {
	data, err := cookie.Read(path)
	if err != nil {
		return nil, err
	}
	var users []broker.ClientUser
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		u, err := parseUser(line)
		if err != nil {
			return nil, fmt.Errorf("has in line %d of %s %w", number, path, err)
		}
		users = append(users, u)
	}
	if len(users) == 0 {
		return nil, fmt.Errorf("holds no user: %s", path)
	}
	return users, nil
}

// parseUser reads one line. Its errors do not show the password.
func parseUser(line string) (broker.ClientUser, error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return broker.ClientUser{}, errors.New("no NAME PASSWORD")
	}
	u := broker.ClientUser{Name: words[0], Password: words[1]}
	for _, w := range words[2:] {
		what, subjects, _ := strings.Cut(w, "=")
		list := strings.Split(subjects, ",")
		switch {
		case subjects == "":
			return u, fmt.Errorf("%q, which lists no subject", what)
		case what == "publish":
			u.Publish = list
		case what == "subscribe":
			u.Subscribe = list
		default:
			return u, fmt.Errorf("%q, which is neither publish= nor subscribe=", what)
		}
	}
	return u, nil
}
