package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/kith-mesh/kith/internal/address"
	"github.com/kith-mesh/kith/internal/cookie"
)

// maxMesh is the longest name of a mesh in bytes. It becomes a part of file names and of a NATS cluster's name.
const maxMesh = 64

// checkNode accepts NAME and NAME@HOST.
func checkNode(s string) error {
	if !strings.Contains(s, "@") {
		return address.CheckName(s)
	}
	_, _, err := address.ParseNode(s)
	return err
}

func checkMesh(s string) error {
	if s == "" || len(s) > maxMesh || strings.Trim(s, wordChars) != "" {
		return errors.New("is no such name")
	}
	return nil
}

// wordChars are the characters of the names of meshes and strategies.
const wordChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

func checkCookie(s string) error {
	if len(s) < cookie.MinLen {
		return fmt.Errorf("has %d bytes", len(s))
	}
	return nil
}

func checkListenRange(s string) error {
	_, err := address.ParseListen(s)
	return err
}

func checkListen(s string) error {
	r, err := address.ParseListen(s)
	if err == nil && r.From != r.To {
		return errors.New("is a range of ports")
	}
	return err
}

// checkURL accepts what a NATS client dials: a URL, or HOST:PORT.
func checkURL(s string) error {
	if !strings.Contains(s, "://") {
		return address.CheckDial(s)
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return errors.New("is no URL")
	}
	if !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
		return fmt.Errorf("has the scheme %q", u.Scheme)
	}
	return nil
}

// checkStrategy looks at the form only: which strategies there are, and what their arguments mean, package discovery
// knows.
func checkStrategy(s string) error { return checkPrintable(s) }

func checkPrintable(s string) error {
	if s == "" {
		return errors.New("is empty")
	}
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
		return errors.New("has a character that cannot be printed")
	}
	return nil
}

// checkText accepts anything but nothing.
func checkText(s string) error {
	if s == "" {
		return errors.New("is empty")
	}
	return nil
}

// checkScope accepts 1 to 255 bytes of any kind.
func checkScope(s string) error {
	if s == "" || len(s) > 255 {
		return fmt.Errorf("has %d bytes", len(s))
	}
	return nil
}

// oneOf accepts the listed words only.
func oneOf(words ...string) func(string) error {
	return func(s string) error {
		if !slices.Contains(words, s) {
			return errors.New("is none of them")
		}
		return nil
	}
}
