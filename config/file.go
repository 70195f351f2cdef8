package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/viper"

	"github.com/kith-mesh/kith/internal/nearest"
)

// file is a configuration file that was read.
type file struct {
	path   string
	data   []byte
	mode   os.FileMode
	values map[string]any // of the top level, as they were written
}

// endings are the kinds of files that are read, by their endings.
var endings = []string{".yaml", ".yml", ".toml"}

// openFile reads the file at path into v, whose decoders must be those of rec. What its errors say follows on the path.
func openFile(v *viper.Viper, rec *recorder, path string) (*file, error) {
	ending := strings.ToLower(filepath.Ext(path))
	if !slices.Contains(endings, ending) {
		return nil, fmt.Errorf("has the ending %q", ending)
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("no regular file")
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	v.SetConfigType(ending[1:])
	if err := v.ReadConfig(bytes.NewReader(data)); err != nil {
		var parse viper.ConfigParseError
		if errors.As(err, &parse) {
			err = parse.Unwrap()
		}
		return nil, fmt.Errorf("cannot be understood: %w", err)
	}
	return &file{path: path, data: data, mode: info.Mode(), values: rec.values}, nil
}

// recorder hands out viper's own decoders and keeps what they decode: viper itself forgets keys without a value, and
// how keys were written.
type recorder struct {
	viper.DecoderRegistry
	values map[string]any
}

// Decoder returns the decoder of a format, with a note taken of its result.
func (r *recorder) Decoder(format string) (viper.Decoder, error) {
	d, err := r.DecoderRegistry.Decoder(format)
	return decoderFunc(func(data []byte, into map[string]any) error {
		err := d.Decode(data, into)
		r.values = maps.Clone(into)
		return err
	}), err
}

type decoderFunc func(data []byte, into map[string]any) error

func (f decoderFunc) Decode(data []byte, into map[string]any) error { return f(data, into) }

// checkKeys refuses keys of the file that are none, the first one first.
func (f *file) checkKeys() error {
	written := slices.SortedFunc(maps.Keys(f.values), func(a, b string) int {
		return cmp.Or(cmp.Compare(f.line(a), f.line(b)), strings.Compare(a, b))
	})
	for _, name := range written {
		value := fmt.Sprint(f.values[name])
		if name == "config" {
			return &Error{Key: name, Value: value, Origin: f.place(name), Err: errors.New("stands in a file itself")}
		}
		if _, known := lookup(name); !known {
			return unknownKey(name, value, f.place(name))
		}
	}
	return nil
}

// has says whether the file has the key, be it without a value.
func (f *file) has(name string) bool {
	_, found := f.values[name]
	return found
}

// unknownKey is the error for a key that there is none of.
func unknownKey(name, value, place string) error {
	meant, _ := nearest.Word(name, names())
	if k, known := lookup(meant); known && k.secret || looksSecret(name) {
		value = hidden
	}
	return &Error{Key: name, Unknown: true, Value: value, Origin: place, Meant: meant, Allowed: strings.Join(names(), ", ")}
}

// looksSecret says whether a key that is none may hold something that must not be printed.
func looksSecret(name string) bool {
	for _, part := range []string{"cook", "secret", "pass", "token", "cred", "key"} {
		if strings.Contains(strings.ToLower(name), part) {
			return true
		}
	}
	return false
}

// place is where the key stands, as FILE:LINE.
func (f *file) place(name string) string {
	if n := f.line(name); n > 0 {
		return fmt.Sprintf("%s:%d", f.path, n)
	}
	return f.path
}

// line is the number of the line where a key of the top level begins, or 0 if it is written in a way that hides it.
func (f *file) line(name string) int {
	pattern := regexp.MustCompile(`(?m)^[ \t]*\[?["']?` + regexp.QuoteMeta(name) + `["']?\]?[ \t]*([:=.]|$)`)
	at := pattern.FindIndex(f.data)
	if at == nil {
		return 0
	}
	return 1 + bytes.Count(f.data[:at[0]], []byte("\n"))
}

// warnings are what is wrong with the file itself and stops nothing.
func (f *file) warnings() []string {
	if runtime.GOOS != "windows" && f.has("cookie") && f.mode.Perm()&0o077 != 0 {
		return []string{fmt.Sprintf("%s holds the cookie and others may read it (mode %04o): chmod 600 it", f.path, f.mode.Perm())}
	}
	return nil
}
