// Package cookie keeps the secret of a mesh in a file that only its owner can read.
//
// A secret is a line of the file, byte for byte, without its end: a program that makes its own file may use any text of 16
// bytes or more. The first line is the secret; further ones are others that are accepted beside it, while it is being
// changed. A file that this package makes holds 32 random bytes in hexadecimal.
package cookie

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	// MinLen is the shortest secret in bytes that is accepted.
	MinLen = 16
	// maxLen is the longest file in bytes that is read: a larger one is some other file.
	maxLen = 64 << 10
	// randomLen is how many random bytes a new secret has.
	randomLen = 32
)

var (
	// ErrMode is returned for a file that others than its owner may read or write.
	ErrMode = errors.New("cookie file is open to others")
	// ErrLength is returned for a secret of fewer than MinLen bytes, or one that is far too long.
	ErrLength = errors.New("cookie has a bad length")
	// ErrLine is returned for a line of a file for peers that is not NAME@HOST SECRET.
	ErrLine = errors.New("bad line in a file of cookies for peers")
)

// LoadOrCreate returns the secret in the file at path, and makes the file first if there is none, along with its folder
// (mode 0700). Any number of processes may call it at the same time: all get the same secret, and none ever sees half
// of one. It fails with [ErrMode] or [ErrLength] rather than using a file that others can read or a secret that is too
// short.
func LoadOrCreate(path string) ([]byte, error) {
	secret, err := Load(path)
	if !errors.Is(err, os.ErrNotExist) {
		return secret, err
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("make cookie file: %w", err)
	}
	return Load(path)
}

// Load returns the secret in the file at path, its first line. It fails with os.ErrNotExist if there is none, else as
// LoadOrCreate.
func Load(path string) ([]byte, error) {
	all, err := LoadAll(path)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// LoadAll returns every secret in the file at path, at least one: the first, and those that are accepted beside it. Empty
// lines are left out. Errors: as of Load.
func LoadAll(path string) ([][]byte, error) {
	data, err := Read(path)
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for line := range bytes.Lines(data) {
		secret := bytes.TrimRight(line, "\r\n")
		if len(secret) == 0 {
			continue
		}
		if len(secret) < MinLen {
			return nil, fmt.Errorf("%w: each line of %s must hold at least %d bytes, and one holds %d", ErrLength, path, MinLen, len(secret))
		}
		all = append(all, secret)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: %s holds none", ErrLength, path)
	}
	return all, nil
}

// Read returns what a file of secrets holds, at most 64 KiB. Errors: ErrMode, ErrLength, os.ErrNotExist.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path) // before it is opened, since opening a pipe would wait
	if err != nil {
		return nil, fmt.Errorf("read a file of secrets: %w", err)
	}
	if err := checkMode(path, info); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a file of secrets: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLen+1))
	if err != nil {
		return nil, fmt.Errorf("read a file of secrets: %w", err)
	}
	if len(data) > maxLen {
		return nil, fmt.Errorf("%w: %s holds more than %d bytes", ErrLength, path, maxLen)
	}
	return data, nil
}

// create makes the file with a new secret unless another process is faster. The file is complete, and on the disk,
// before it appears under its name.
func create(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".cookie-*") // O_EXCL, mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(newSecret())
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	// A link never replaces a file that is there: the first one stays.
	if err := os.Link(f.Name(), path); !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// newSecret returns a new secret as a line of text.
func newSecret() string {
	var b [randomLen]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:]) + "\n"
}
