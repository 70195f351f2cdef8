package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kith-mesh/kith/internal/address"
)

// field is a place in a Config that takes words: one for a scalar, any number for a list. set changes nothing when it
// refuses; what its error says follows on the value.
type field interface {
	set(words []string) error
	words() []string
}

type textField struct {
	p     *string
	check func(string) error
}

func (f textField) set(words []string) error {
	if err := f.check(words[0]); err != nil {
		return err
	}
	*f.p = words[0]
	return nil
}

func (f textField) words() []string {
	if *f.p == "" {
		return nil
	}
	return []string{*f.p}
}

type listField struct {
	p     *[]string
	check func(string) error
}

func (f listField) set(words []string) error {
	for _, w := range words {
		if err := f.check(w); err != nil {
			return fmt.Errorf("contains %q, which %w", w, err)
		}
	}
	*f.p = slices.Clone(words)
	return nil
}

func (f listField) words() []string { return *f.p }

type boolField struct{ p *bool }

func (f boolField) set(words []string) error {
	b, err := strconv.ParseBool(words[0])
	if err != nil {
		return errors.New("is neither true nor false")
	}
	*f.p = b
	return nil
}

func (f boolField) words() []string {
	if !*f.p {
		return nil
	}
	return []string{"true"}
}

type durationField struct {
	p        *time.Duration
	min, max time.Duration
}

func (f durationField) set(words []string) error {
	d, err := time.ParseDuration(words[0])
	if err != nil {
		return errors.New("is no duration")
	}
	if d < f.min || d > f.max {
		return errors.New("is out of range")
	}
	*f.p = d
	return nil
}

func (f durationField) words() []string {
	if *f.p == 0 {
		return nil
	}
	return []string{f.p.String()}
}

type storeField struct{ p *[]StoreNode }

func (f storeField) set(words []string) error {
	nodes := make([]StoreNode, 0, len(words))
	for _, w := range words {
		name, addr, found := strings.Cut(w, "=")
		if !found {
			return fmt.Errorf("contains %q, which has no =", w)
		}
		if err := checkNode(name); err != nil {
			return fmt.Errorf("contains %q, which %w", w, err)
		}
		if err := address.CheckDial(addr); err != nil {
			return fmt.Errorf("contains %q, which %w", w, err)
		}
		if slices.ContainsFunc(nodes, func(n StoreNode) bool { return n.Name == name || n.Addr == addr }) {
			return fmt.Errorf("contains %q twice in name or address", w)
		}
		nodes = append(nodes, StoreNode{Name: name, Addr: addr})
	}
	if n := len(nodes); n != 0 && n != 3 && n != 5 {
		return fmt.Errorf("lists %d nodes, and a majority that survives the loss of one needs 3 or 5", n)
	}
	*f.p = nodes
	return nil
}

func (f storeField) words() []string {
	var words []string
	for _, n := range *f.p {
		words = append(words, n.Name+"="+n.Addr)
	}
	return words
}
