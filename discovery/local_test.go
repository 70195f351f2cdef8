package discovery

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"
)

// running is a strategy that a test runs.
type running struct {
	found chan []Candidate
	fails chan error
	stop  func()
}

// run runs s until the test ends or stop is called, which waits for the end.
func run(t *testing.T, s Strategy, self Self) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{found: make(chan []Candidate, 1000), fails: make(chan error, 1000)}
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, self, func(l []Candidate) { r.found <- l }, func(err error) { r.fails <- err })
	}()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

// await waits for a list of these addresses, whatever lists come before it.
func (r *running) await(t *testing.T, addrs ...string) []Candidate {
	t.Helper()
	timeout := time.After(10 * time.Second)
	var last []Candidate
	for {
		select {
		case last = <-r.found:
			if slices.Equal(addrsOf(last), addrs) {
				return last
			}
		case err := <-r.fails:
			t.Logf("failure: %v", err)
		case <-timeout:
			t.Fatalf("no list %v; the last was %v", addrs, last)
		}
	}
}

func addrsOf(list []Candidate) []string {
	var s []string
	for _, c := range list {
		s = append(s, c.Addr)
	}
	return s
}

func TestLocal_run(t *testing.T) {
	dir := t.TempDir()
	add := func(name, addr string, hidden bool) *Reservation {
		r := mustReserve(t, dir, name)
		e := entry(name)
		e.Addr, e.Hidden = addr, hidden
		mustPublish(t, r, e)
		return r
	}
	add("me@h", "127.0.0.1:1", false)
	s := run(t, Local(dir), Self{Name: "me@h", Mesh: "m"})
	s.await(t) // empty, at once

	a := add("a@h", "127.0.0.1:2", false)
	list := s.await(t, "127.0.0.1:2")
	want := Candidate{Addr: "127.0.0.1:2", Name: "a@h", Incarnation: 0xf1f2f3f4f5f6f7f8, Source: "local", Started: entry("a@h").Started}
	if list[0] != want {
		t.Errorf("candidate = %+v", list[0])
	}
	add("b@h", "127.0.0.1:3", true)
	if list := s.await(t, "127.0.0.1:2", "127.0.0.1:3"); !list[1].Hidden {
		t.Errorf("not marked as hidden: %+v", list[1])
	}
	e := entry("a@h")
	e.Addr = "127.0.0.1:9"
	mustPublish(t, a, e)
	s.await(t, "127.0.0.1:3", "127.0.0.1:9")
	if err := a.Release(); err != nil {
		t.Fatal(err)
	}
	s.await(t, "127.0.0.1:3")
}

// TestLocal_without_announcements: where the system announces no changes, the timer finds them.
func TestLocal_without_announcements(t *testing.T) {
	f := &folder{dir: t.TempDir()}
	if f.renew() {
		t.Error("watches without a watcher")
	}
	if !f.wait(context.Background(), time.Millisecond) {
		t.Error("wait ended without its context")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if f.wait(ctx, time.Hour) {
		t.Error("wait outlived its context")
	}
	f.close()
}

func TestLocal_killed_process_disappears(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, dir, "a@h")
	local := Local(dir)
	local.sweep = 50 * time.Millisecond
	s := run(t, local, Self{Name: "me@h", Mesh: "m"})
	s.await(t, "127.0.0.1:4000")
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	s.await(t)
}

func TestLocal_removed_folder(t *testing.T) {
	dir := t.TempDir()
	s := run(t, Local(dir), Self{Name: "me@h", Mesh: "m"})
	s.await(t)
	if err := os.RemoveAll(meshDir(dir, "m")); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, mustReserve(t, dir, "a@h"), entry("a@h"))
	s.await(t, "127.0.0.1:4222")
}

func TestLocal_no_data_dir(t *testing.T) {
	err := Local("").Run(context.Background(), Self{}, func([]Candidate) {}, func(error) {})
	if !errors.Is(err, ErrBadConfig) {
		t.Fatalf("err = %v", err)
	}
}

func TestStatic(t *testing.T) {
	s := run(t, Static("h1:4000", "10.0.0.1:4001", "h1:4000", "[::1]:4002"), Self{Addr: "10.0.0.1:4001"})
	list := s.await(t, "h1:4000", "[::1]:4002")
	if list[0].Source != "static" {
		t.Errorf("source %q", list[0].Source)
	}
}

func TestStatic_bad_address(t *testing.T) {
	for name, addr := range map[string]string{
		"no_port": "h1", "no_host": ":4000", "port_zero": "h1:0", "named_port": "h1:http", "large_port": "h1:65536",
	} {
		t.Run(name, func(t *testing.T) {
			err := Static(addr).Run(context.Background(), Self{}, func([]Candidate) {}, func(error) {})
			if !errors.Is(err, ErrBadConfig) {
				t.Fatalf("err = %v", err)
			}
		})
	}
}

// TestLocal_draining: a node that is about to leave is offered to nobody, and listed all the same.
func TestLocal_draining(t *testing.T) {
	dir := t.TempDir()
	l := Local(dir)
	reservation, err := l.Reserve("m", "a@h")
	if err != nil {
		t.Fatal(err)
	}
	defer reservation.Release()
	entry := Entry{Name: "a@h", Incarnation: 7, Addr: "10.0.0.1:1"}
	if err := reservation.Publish(entry); err != nil {
		t.Fatal(err)
	}
	r := run(t, Local(dir), Self{Name: "b@h", Incarnation: 8, Mesh: "m"})
	r.await(t, "10.0.0.1:1")
	entry.Draining = true
	if err := reservation.Publish(entry); err != nil {
		t.Fatal(err)
	}
	r.await(t)
	if list, err := List(dir, "m"); err != nil || len(list) != 1 || !list[0].Draining {
		t.Errorf("listed: %v, %v", list, err)
	}
}

// TestLocal_unreadable_folder: a folder that cannot be read for a moment takes nobody away.
func TestLocal_unreadable_folder(t *testing.T) {
	dir := t.TempDir()
	mustPublish(t, mustReserve(t, dir, "a@h"), entry("a@h"))
	local := Local(dir)
	local.poll, local.sweep = 10*time.Millisecond, 10*time.Millisecond
	s := run(t, local, Self{Name: "me@h", Mesh: "m"})
	s.await(t, "127.0.0.1:4222")
	folder := meshDir(dir, "m")
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		select {
		case <-s.fails:
		case <-time.After(10 * time.Second):
			t.Fatal("no failure")
		}
	}
	s.stop()
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(folder+".away", folder); err != nil {
		t.Fatal(err)
	}
	for len(s.found) > 0 {
		if list := <-s.found; len(list) == 0 {
			t.Error("everybody was gone while the folder could not be read")
		}
	}
}

func TestStillKnown(t *testing.T) {
	before := []Candidate{{Name: "a", Addr: "h:1"}, {Name: "b", Addr: "h:2"}}
	got := stillKnown([]Candidate{{Name: "c", Addr: "h:3"}, {Name: "a", Addr: "h:4"}}, before)
	if want := []string{"h:4", "h:2", "h:3"}; !slices.Equal(addrsOf(got), want) {
		t.Errorf("got %v, want %v", addrsOf(got), want)
	}
}
