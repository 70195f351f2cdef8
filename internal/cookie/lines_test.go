package cookie

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	one = "the first of them, long enough"
	two = "the second one, long enough"
)

func put(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadAll(t *testing.T) {
	for content, want := range map[string]string{
		one: one, one + "\n" + two: one + "|" + two, one + "\r\n\r\n" + two + "\r\n": one + "|" + two, "\n" + two + "\n": two,
	} {
		all, err := LoadAll(put(t, content))
		var got []string
		for _, s := range all {
			got = append(got, string(s))
		}
		if err != nil || strings.Join(got, "|") != want {
			t.Errorf("%q: %q, %v", content, got, err)
		}
		if first, err := Load(put(t, content)); err != nil || string(first) != strings.Split(want, "|")[0] {
			t.Errorf("%q: the first is %q, %v", content, first, err)
		}
	}
	for _, content := range []string{"", "\n\n", "short", one + "\nshort\n"} {
		if all, err := LoadAll(put(t, content)); !errors.Is(err, ErrLength) || strings.Contains(fmt.Sprint(err), one) {
			t.Errorf("%q: %q, %v", content, all, err)
		}
	}
}

func TestLoadPeers(t *testing.T) {
	peers, err := LoadPeers(put(t, "# for two\na@h "+one+"\n\nb@[::1] "+two+"\r\n"))
	if err != nil || len(peers) != 2 || string(peers["a@h"]) != one || string(peers["b@[::1]"]) != two {
		t.Errorf("%q, %v", peers, err)
	}
	if peers, err := LoadPeers(put(t, "")); err != nil || len(peers) != 0 {
		t.Errorf("an empty file: %v, %v", peers, err)
	}
	for content, want := range map[string]error{
		"a " + one: ErrLine, one: ErrLine, "a@h": ErrLength, "a@h short": ErrLength, "a@h " + one + "\na@h " + two: ErrLine,
	} {
		if peers, err := LoadPeers(put(t, content)); !errors.Is(err, want) || strings.Contains(err.Error(), "enough") && want == ErrLength {
			t.Errorf("%q: %v, %v", content, peers, err)
		}
	}
	path := put(t, "a@h "+one)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadPeers(path); !errors.Is(err, ErrMode) {
		t.Errorf("a file that others may read: %v", err)
	}
	if _, err := LoadPeers(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
