package cookie

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestMain doubles as the program of the child processes of TestLoadOrCreate_processes.
func TestMain(m *testing.M) {
	if path := os.Getenv("COOKIE_TEST_PATH"); path != "" {
		secret, err := LoadOrCreate(path)
		fmt.Printf("%s %v", secret, err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestLoadOrCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "cookie")
	first, err := LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := hex.DecodeString(string(first)); err != nil || len(raw) != randomLen {
		t.Fatalf("secret %q: %v", first, err)
	}
	if again, err := LoadOrCreate(path); err != nil || string(again) != string(first) {
		t.Fatalf("second time %q, %v", again, err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("file mode %v", info.Mode())
	}
	if info, _ := os.Stat(filepath.Dir(path)); info.Mode().Perm() != 0o700 {
		t.Errorf("folder mode %v", info.Mode())
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("files: %v", files)
	}
	other, err := LoadOrCreate(filepath.Join(t.TempDir(), "cookie"))
	if err != nil || string(other) == string(first) {
		t.Errorf("another file has %q, %v", other, err)
	}
}

func TestLoadOrCreate_existing(t *testing.T) {
	const ok = "0123456789abcdef"
	tests := map[string]struct {
		content string
		mode    os.FileMode
		want    string
		err     error
	}{
		"plain":            {ok, 0o600, ok, nil},
		"trailing_newline": {ok + "\n", 0o600, ok, nil},
		"trailing_crlf":    {ok + "\r\n", 0o400, ok, nil},
		"inner_space":      {"a secret of words \n", 0o600, "a secret of words ", nil},
		"empty":            {"", 0o600, "", ErrLength},
		"short":            {ok[1:] + "\n", 0o600, "", ErrLength},
		"long":             {strings.Repeat("x", maxLen+1), 0o600, "", ErrLength},
		"group_reads":      {ok, 0o640, "", ErrMode},
		"others_read":      {ok, 0o604, "", ErrMode},
		"others_write":     {ok, 0o602, "", ErrMode},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cookie")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			got, err := LoadOrCreate(path)
			if !errors.Is(err, tt.err) || string(got) != tt.want {
				t.Fatalf("got %q, %v", got, err)
			}
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("the error does not name the file: %v", err)
			}
			if tt.err == ErrMode && !strings.Contains(err.Error(), fmt.Sprintf("%04o", tt.mode)) {
				t.Errorf("the error does not name the mode: %v", err)
			}
			if after, _ := os.ReadFile(path); string(after) != tt.content {
				t.Errorf("the file was changed")
			}
		})
	}
}

func TestLoadOrCreate_folder_in_its_place(t *testing.T) {
	if _, err := LoadOrCreate(t.TempDir()); !errors.Is(err, ErrMode) {
		t.Fatalf("err = %v", err)
	}
}

func TestLoad_missing(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "cookie")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("err = %v", err)
	}
}

func TestLoadOrCreate_goroutines(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "data", "cookie")
		agree(t, 50, filepath.Dir(path), func() string {
			secret, err := LoadOrCreate(path)
			return fmt.Sprintf("%s %v", secret, err)
		})
	}
}

// TestLoadOrCreate_processes: fifty processes that start at once in an empty folder agree on one secret.
func TestLoadOrCreate_processes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "cookie")
	agree(t, 50, filepath.Dir(path), func() string {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "COOKIE_TEST_PATH="+path)
		out, err := cmd.Output()
		if err != nil {
			t.Error(err)
		}
		return string(out)
	})
}

// agree runs load n times at once and wants one good result from all, and one file in dir.
func agree(t *testing.T, n int, dir string, load func() string) {
	t.Helper()
	results := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { results[i] = load() })
	}
	wg.Wait()
	for _, r := range results {
		if r != results[0] || !strings.HasSuffix(r, " <nil>") || len(r) != 2*randomLen+len(" <nil>") {
			t.Fatalf("results %q and %q", results[0], r)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("files: %v", files)
	}
}
