package discovery

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseHosts(t *testing.T) {
	const good = `
# the mesh
alpha
10.0.0.7:4000   # a port
beta.example.org:4000-4002
[fd00::7]:4001
fd00::8
'gamma.example.org'.
'delta'
`
	hosts, err := ParseHosts([]byte(good), 99)
	if err != nil {
		t.Fatal(err)
	}
	want := []Host{
		{"alpha", 99, 99}, {"10.0.0.7", 4000, 4000}, {"beta.example.org", 4000, 4002}, {"fd00::7", 4001, 4001},
		{"fd00::8", 99, 99}, {"gamma.example.org", 99, 99}, {"delta", 99, 99},
	}
	if !slices.Equal(hosts, want) {
		t.Errorf("hosts %v, want %v", hosts, want)
	}
	if got := hosts[2].Addrs(); !slices.Equal(got, []string{
		"beta.example.org:4000", "beta.example.org:4001", "beta.example.org:4002",
	}) {
		t.Errorf("addresses %v", got)
	}
	for name, line := range map[string]string{
		"two_words": "a b", "no_host": ":1", "port_zero": "a:0", "named_port": "a:http", "backwards": "a:5-4",
		"wide": "a:1000-1100", "url": "nats://a:1", "user": "a@b", "open_range": "a:1-",
	} {
		t.Run(name, func(t *testing.T) {
			if h, err := ParseHosts([]byte("ok\n"+line), 99); err == nil || !strings.Contains(err.Error(), "line 2") {
				t.Errorf("hosts %v, err %v", h, err)
			}
		})
	}
}

func FuzzParseHosts(f *testing.F) {
	f.Add([]byte("alpha:1-3\n'b'.\n[::1]:4\n#x"))
	f.Add([]byte("]0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		hosts, err := ParseHosts(data, 99)
		if err != nil {
			return
		}
		for _, h := range hosts {
			for _, a := range h.Addrs() {
				if err := checkAddr(a); err != nil {
					t.Fatalf("%q gives %v", data, err)
				}
			}
		}
	})
}

func TestNET(t *testing.T) {
	write := func(t *testing.T, dir, name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("NET-49_no_host_file", func(t *testing.T) {
		_, err := ReadHostFile(1, filepath.Join(t.TempDir(), "none"))
		if !errors.Is(err, ErrNoHostFile) {
			t.Fatalf("err = %v", err)
		}
	})
	t.Run("NET-49_first_place_wins", func(t *testing.T) {
		cwd, home, conf := t.TempDir(), t.TempDir(), t.TempDir()
		t.Chdir(cwd)
		t.Setenv("HOME", home)
		t.Setenv("XDG_CONFIG_HOME", conf)
		first := func() string {
			hosts, err := ReadHostFile(1)
			if err != nil {
				return err.Error()
			}
			return hosts[0].Name
		}
		if got := first(); !strings.HasPrefix(got, ErrNoHostFile.Error()) {
			t.Errorf("no file: %s", got)
		}
		write(t, conf, "kith/hosts", "from-config")
		if got := first(); got != "from-config" {
			t.Errorf("got %s", got)
		}
		write(t, home, HostFileName, "from-home")
		if got := first(); got != "from-home" {
			t.Errorf("got %s", got)
		}
		write(t, cwd, HostFileName, "from-cwd")
		if got := first(); got != "from-cwd" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("NET-48_names_of_this_host", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"b@h", "a@h"} {
			e := entry(name)
			e.Hidden = name == "b@h"
			mustPublish(t, mustReserve(t, dir, name), e)
		}
		list, err := List(dir, "m")
		if err != nil || len(list) != 2 || list[0].Name != "a@h" || list[1].Name != "b@h" || !list[1].Hidden {
			t.Errorf("names %+v, %v", list, err)
		}
	})
	t.Run("NET-50_world_without_a_host_file_is_an_error", func(t *testing.T) {
		hosts, err := ReadHostFile(DefaultPort, filepath.Join(t.TempDir(), "none"))
		if !errors.Is(err, ErrNoHostFile) || hosts != nil {
			t.Errorf("hosts %v, %v", hosts, err)
		}
		if names := World(context.Background(), hosts, nil); len(names) != 0 {
			t.Errorf("world %v", names)
		}
	})
	t.Run("NET-51_world", func(t *testing.T) {
		hosts := []Host{{"b", 1, 3}, {"bad", 1, 1}, {"a", 1, 1}, {"b", 2, 2}}
		got := World(context.Background(), hosts, func(_ context.Context, addr string) (string, error) {
			if strings.HasPrefix(addr, "bad") {
				return "", errors.New("nobody")
			}
			if addr == "b:1" {
				time.Sleep(10 * time.Millisecond) // the order is that of the hosts, not of the answers
			}
			return "n@" + addr, nil
		})
		if want := []string{"n@b:1", "n@b:2", "n@b:3", "n@a:1"}; !slices.Equal(got, want) {
			t.Errorf("world %v, want %v", got, want)
		}
	})
}

func TestHosts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	set := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := run(t, Hosts(HostsConfig{Path: path}), Self{Addr: "me:7"})
		s.expect(t, 1)
		set("b\na:4-5\nme:7\n")
		time.Sleep(10 * time.Second)
		s.expect(t, 0, "a:4", "a:5", "b:45892")
		set("b:\n")
		time.Sleep(7 * time.Second)
		synctest.Wait()
		if lists, errs := s.drain(); len(lists) != 0 || len(errs) == 0 || !strings.Contains(errs[0].Error(), "line 1") {
			t.Errorf("lists %v, failures %v", lists, errs)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if lists, errs := s.drain(); len(lists) != 0 || len(errs) == 0 || errors.Is(errs[0], fs.ErrNotExist) {
			t.Errorf("lists %v, failures %v", lists, errs)
		}
		set("c")
		time.Sleep(2 * time.Minute)
		s.expect(t, 0, "c:45892")
		s.stop()
	})
}
