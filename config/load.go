package config

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Load reads flags, the environment and the file that they name, fills in defaults and checks the result. fs is a flag
// set that was parsed, with flags from AddFlags; nil stands for none. Other flags in it are not looked at. All
// keys are read, also those whose flags fs does not have, so that one file serves all commands.
//
// The error is an [*Error] for whatever the user has to correct.
func Load(fs *pflag.FlagSet) (Config, error) {
	rec := &recorder{DecoderRegistry: viper.NewCodecRegistry()}
	l := loader{v: viper.NewWithOptions(viper.WithDecoderRegistry(rec)), rec: rec, flags: fs}
	if err := l.bind(); err != nil {
		return Config{}, err
	}
	c := Config{origins: make(map[string]origin)}
	warnings, err := checkEnviron()
	if err != nil {
		return Config{}, err
	}
	c.Warnings = warnings
	if err := l.readFile(&c); err != nil {
		return Config{}, err
	}
	for i := range keys {
		if err := l.setKey(&c, &keys[i]); err != nil {
			return Config{}, err
		}
	}
	if err := c.settlePaths(); err != nil {
		return Config{}, err
	}
	c.settleCookie()
	return c, c.checkTogether()
}

// loader is one run of Load.
type loader struct {
	v     *viper.Viper
	rec   *recorder
	flags *pflag.FlagSet
	file  *file // nil without one
}

// bind tells viper about every key.
func (l *loader) bind() error {
	for i := range keys {
		k := &keys[i]
		if err := l.v.BindEnv(k.name, k.env()); err != nil {
			return fmt.Errorf("bind %s: %w", k.env(), err)
		}
		if f := l.flag(k); f != nil {
			if err := l.v.BindFlagValue(k.name, boundFlag{f}); err != nil {
				return fmt.Errorf("bind --%s: %w", k.name, err)
			}
		}
		if k.def != "" {
			l.v.SetDefault(k.name, k.def)
		}
	}
	return nil
}

// flag is the flag of a key if the flag set has it and AddFlags made it.
func (l *loader) flag(k *key) *pflag.Flag {
	if l.flags == nil {
		return nil
	}
	f := l.flags.Lookup(k.name)
	if f == nil {
		return nil
	}
	if _, ours := f.Value.(*flagValue); !ours {
		return nil
	}
	return f
}

// readFile reads the configuration file, if one is named.
func (l *loader) readFile(c *Config) error {
	k, _ := lookup("config")
	if err := l.setKey(c, k); err != nil || c.File == "" {
		return err
	}
	path, err := filepath.Abs(c.File)
	if err != nil {
		return c.Reject("config", fmt.Errorf("has no absolute path: %w", err))
	}
	c.File = path
	f, err := openFile(l.v, l.rec, path)
	if err != nil {
		return c.Reject("config", err)
	}
	l.file = f
	c.Warnings = append(c.Warnings, f.warnings()...)
	return f.checkKeys()
}

// setKey puts the value that counts for k into c, and notes where it came from.
func (l *loader) setKey(c *Config, k *key) error {
	if k.name == "config" && c.File != "" {
		return nil // it is read first, and made absolute
	}
	from := l.origin(k)
	if from.rank == rankDefault && k.def == "" {
		return nil
	}
	raw := l.v.Get(k.name)
	if from.rank == rankFile && l.file.values[k.name] == nil {
		raw = nil // viper takes a key without a value for a key that is not there
	}
	if from.rank != rankDefault {
		from.value = fmt.Sprint(raw)
		if k.secret {
			from.value = hidden
		}
		c.origins[k.name] = from
	}
	words, err := k.words(raw)
	if err == nil {
		err = k.field(c).set(words)
	}
	if err != nil {
		return c.Reject(k.name, err)
	}
	return nil
}

// words turns a raw value, text or what a file holds, into words.
func (k *key) words(raw any) ([]string, error) {
	switch v := raw.(type) {
	case nil:
		return nil, errors.New("is missing")
	case string:
		return k.split(v), nil
	case bool:
		if k.kind == truth {
			return []string{fmt.Sprint(v)}, nil
		}
	case []any:
		if k.kind != list {
			return nil, errors.New("is a list")
		}
		words := make([]string, 0, len(v))
		for _, item := range v {
			s, isText := item.(string)
			if !isText {
				return nil, fmt.Errorf("contains %v, which is no text: put it in quotes", item)
			}
			words = append(words, s)
		}
		return words, nil
	case map[string]any:
		return nil, errors.New("is a table")
	case int, int64, uint64, float64:
		if k.kind == duration {
			return nil, errors.New("is a number without a unit")
		}
	}
	return nil, fmt.Errorf("is of type %T: put it in quotes", raw)
}
