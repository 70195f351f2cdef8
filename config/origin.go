package config

import (
	"os"
)

// rank orders where values come from: the lower one counts.
type rank uint8

const (
	rankFlag rank = iota
	rankEnv
	rankFile
	rankDefault
)

// origin is where the value of a key stood, and what stood there, unless it is a secret.
type origin struct {
	rank  rank
	place string
	value string
}

// origin says where the value that counts for k comes from. It follows the same order as viper.
func (l *loader) origin(k *key) origin {
	if f := l.flag(k); f != nil && f.Changed {
		return origin{rank: rankFlag, place: "flag --" + k.name}
	}
	if os.Getenv(k.env()) != "" {
		return origin{rank: rankEnv, place: "environment variable " + k.env()}
	}
	if l.file != nil && l.file.has(k.name) {
		return origin{rank: rankFile, place: l.file.place(k.name)}
	}
	return origin{rank: rankDefault}
}

// Reject makes the error for a value of c that turned out not to be usable, with the place that it came from: for
// what only a layer above can judge, such as the names of discovery's strategies. What err says follows on the value,
// as in "is no strategy". The error is an [*Error].
func (c *Config) Reject(name string, err error) error {
	e := &Error{Key: name, Err: err}
	o, given := c.origins[name]
	e.Origin, e.Value = o.place, o.value
	if k, known := lookup(name); known {
		e.Allowed = k.allowed
		if !given {
			e.Value = k.def
		}
	}
	return e
}

// Given says whether the key has a value that is not its default.
func (c *Config) Given(name string) bool {
	_, given := c.origins[name]
	return given
}
