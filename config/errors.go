package config

import (
	"fmt"
	"strings"

	"github.com/kith-mesh/kith/internal/redact"
)

// Error is a configuration that cannot be used: an unknown key, a bad value, a file that cannot be read. The command
// ends with status 2 on it.
type Error struct {
	// Key is the key as it was written.
	Key string
	// Unknown says that there is no such key.
	Unknown bool
	// Value is what was given, or a placeholder for a secret.
	Value string
	// Origin says where it stood: "flag --tick", "environment variable KITH_TICK", "kith.yaml:3".
	Origin string
	// Allowed says in words what could stand there.
	Allowed string
	// Meant is the known key that was most likely meant by an unknown one, or empty.
	Meant string
	// Err is what is wrong with the value; nil for an unknown key.
	Err error
}

// Error says all of it in one line, without the passwords of URLs.
func (e *Error) Error() string {
	value, detail := e.redacted()
	var b strings.Builder
	if e.Unknown {
		fmt.Fprintf(&b, "unknown key %q with the value %s", e.Key, quote(value))
	} else {
		fmt.Fprintf(&b, "bad value %s for %s", quote(value), e.Key)
	}
	if e.Origin != "" {
		fmt.Fprintf(&b, " (%s)", e.Origin)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %s", detail)
	}
	if e.Meant != "" {
		fmt.Fprintf(&b, "; did you mean %s?", e.Meant)
	}
	if e.Allowed != "" {
		fmt.Fprintf(&b, "; allowed: %s", e.Allowed)
	}
	return b.String()
}

// redacted returns the value and what is wrong with it without users and passwords. Names of nodes have an @ too, so that
// only what stands for servers, or was meant to, is looked at where there is no scheme.
func (e *Error) redacted() (value, detail string) {
	value = e.Value
	if e.Err != nil {
		detail = e.Err.Error()
	}
	if strings.Contains(strings.ToLower(e.Key+" "+e.Meant), "server") {
		return redact.URL(value), redact.Quoted(detail)
	}
	return redact.URLs(value), redact.URLs(detail)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// quote makes a value of any length printable on one line.
func quote(value string) string {
	const most = 80
	if value == hidden {
		return value
	}
	if runes := []rune(value); len(runes) > most {
		return fmt.Sprintf("%q…", string(runes[:most]))
	}
	return fmt.Sprintf("%q", value)
}
