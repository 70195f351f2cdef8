package discovery

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func entry(name string) Entry {
	return Entry{
		Name: name, Incarnation: 0xf1f2f3f4f5f6f7f8, Addr: "127.0.0.1:4222", PID: os.Getpid(),
		Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func mustReserve(t *testing.T, dir, name string) *Reservation {
	t.Helper()
	r, err := Local(dir).Reserve("m", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Release() })
	return r
}

func mustPublish(t *testing.T, r *Reservation, e Entry) {
	t.Helper()
	if err := r.Publish(e); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	list, err := List(dir, "m")
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, e := range list {
		s = append(s, e.Name)
	}
	return strings.Join(s, " ")
}

func TestReserve_life(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	r := mustReserve(t, dir, "a@h")
	if got := names(t, dir); got != "" {
		t.Fatalf("listed before it was published: %s", got)
	}
	mustPublish(t, r, entry("a@h"))
	list, err := List(dir, "m")
	if err != nil || len(list) != 1 || list[0] != entry("a@h") {
		t.Fatalf("List = %+v, %v", list, err)
	}
	_, err = Local(dir).Reserve("m", "a@h")
	if !errors.Is(err, ErrNameInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("second Reserve: %v", err)
	}
	other, err := Local(dir).Reserve("other", "a@h")
	if err != nil {
		t.Fatalf("the same name in another mesh: %v", err)
	}
	for range 2 {
		if err := errors.Join(r.Release(), other.Release()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Publish(entry("a@h")); !errors.Is(err, ErrReleased) {
		t.Fatalf("Publish after Release: %v", err)
	}
	if files, _ := os.ReadDir(meshDir(dir, "m")); len(files) != 0 {
		t.Fatalf("left behind: %v", files)
	}
	mustReserve(t, dir, "a@h")
}

func TestReserve_publish_other_name(t *testing.T) {
	r := mustReserve(t, t.TempDir(), "a@h")
	if err := r.Publish(entry("b@h")); !errors.Is(err, ErrBadConfig) {
		t.Fatalf("err = %v", err)
	}
}

func TestReserve_modes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	r := mustReserve(t, dir, "a@h")
	mustPublish(t, r, entry("a@h"))
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestList_leftovers(t *testing.T) {
	tests := map[string][]string{
		"lock_only":       {"a@h.lock"},
		"entry_only":      {"a@h.json"},
		"temp_only":       {"a@h.temp"},
		"all":             {"a@h.lock", "a@h.json", "a@h.temp"},
		"entry_with_temp": {"a@h.json", "a@h.temp"},
	}
	for name, files := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(meshDir(dir, "m"), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, f := range append(files, "foreign.txt") {
				data := `{"name":"a@h","incarnation":"1","addr":"127.0.0.1:1"}`
				if err := os.WriteFile(filepath.Join(meshDir(dir, "m"), f), []byte(data), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := names(t, dir); got != "" {
				t.Errorf("listed %s", got)
			}
			left, _ := os.ReadDir(meshDir(dir, "m"))
			if len(left) != 1 || left[0].Name() != "foreign.txt" {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestList_no_folder(t *testing.T) {
	if list, err := List(filepath.Join(t.TempDir(), "none"), "m"); err != nil || len(list) != 0 {
		t.Fatalf("%v, %v", list, err)
	}
}

func TestList_half_written_entry_of_living_node(t *testing.T) {
	dir := t.TempDir()
	r := mustReserve(t, dir, "a@h")
	if err := os.WriteFile(r.slot.entryPath(), []byte(`{"name":"a@`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "" {
		t.Fatalf("listed %s", got)
	}
	if err := r.Publish(entry("a@h")); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "a@h" {
		t.Fatalf("listed %q", got)
	}
}

// TestReserve_race: of many that want one name at once, amid many that list, exactly one has it at any moment, and a
// name that was given back can be had again.
func TestReserve_race(t *testing.T) {
	dir := t.TempDir()
	var holders, rounds atomic.Int32
	stop := make(chan struct{})
	var listers, takers sync.WaitGroup
	for range 4 {
		listers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := List(dir, "m"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 16 {
		takers.Go(func() {
			for range 30 {
				r, err := Local(dir).Reserve("m", "a@h")
				if errors.Is(err, ErrNameInUse) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold the name", n)
				}
				if err := r.Publish(entry("a@h")); err != nil {
					t.Error(err)
				}
				if list, err := List(dir, "m"); err != nil || len(list) != 1 {
					t.Errorf("the holder sees %v, %v", list, err)
				}
				rounds.Add(1)
				holders.Add(-1)
				if err := r.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	takers.Wait()
	close(stop)
	listers.Wait()
	if rounds.Load() < 16 {
		t.Errorf("only %d rounds", rounds.Load())
	}
	if left, _ := os.ReadDir(meshDir(dir, "m")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestReserve_free_name_amid_lists: those that list never make a free name look taken.
func TestReserve_free_name_amid_lists(t *testing.T) {
	dir := t.TempDir()
	stop := make(chan struct{})
	var listers sync.WaitGroup
	for range 4 {
		listers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = List(dir, "m")
				}
			}
		})
	}
	for i := range 200 {
		r, err := Local(dir).Reserve("m", "a@h")
		if err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		if err := r.Release(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	listers.Wait()
}

// child is a process of this test binary that holds a name.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	said  string
}

func startChild(t *testing.T, dir, name string) *child {
	t.Helper()
	c, err := tryChild(t, dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tryChild is for goroutines, which must not end the test.
func tryChild(t *testing.T, dir, name string) (*child, error) {
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), "DISCOVERY_TEST_HOLD="+dir, "DISCOVERY_TEST_NAME="+name)
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	c.said = strings.TrimSpace(line)
	return c, nil
}

// TestLocal_processes: a killed process holds nothing, whatever its files say; a living one holds its name against
// other processes; a clean one leaves nothing.
func TestLocal_processes(t *testing.T) {
	dir := t.TempDir()
	a := startChild(t, dir, "a@h")
	b := startChild(t, dir, "b@h")
	if a.said != "held" || b.said != "held" {
		t.Fatalf("children said %q and %q", a.said, b.said)
	}
	if got := names(t, dir); got != "a@h b@h" {
		t.Fatalf("listed %q", got)
	}
	_, err := Local(dir).Reserve("m", "a@h")
	if !errors.Is(err, ErrNameInUse) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", a.cmd.Process.Pid)) {
		t.Fatalf("Reserve of a child's name: %v", err)
	}
	if again := startChild(t, dir, "a@h"); !strings.Contains(again.said, ErrNameInUse.Error()) {
		t.Fatalf("a second process said %q", again.said)
	}

	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = a.cmd.Wait()
	if got := names(t, dir); got != "b@h" {
		t.Fatalf("listed after the kill: %q", got)
	}
	r := mustReserve(t, dir, "a@h")

	_ = b.stdin.Close()
	if err := b.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := r.Release(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(meshDir(dir, "m")); len(left) != 0 {
		t.Fatalf("left: %v", left)
	}
}

// TestLocal_process_race: of many processes that start at once under one name, exactly one gets it, also where a killed
// one left its files.
func TestLocal_process_race(t *testing.T) {
	dir := t.TempDir()
	dead := startChild(t, dir, "a@h")
	_ = dead.cmd.Process.Kill()
	_ = dead.cmd.Wait()
	const count = 8
	said := make(chan string, count)
	for range count {
		go func() {
			c, err := tryChild(t, dir, "a@h")
			if err != nil {
				said <- err.Error()
				return
			}
			said <- c.said
		}()
	}
	held := 0
	for range count {
		switch s := <-said; {
		case s == "held":
			held++
		case !strings.Contains(s, ErrNameInUse.Error()):
			t.Errorf("a child said %q", s)
		}
	}
	if held != 1 {
		t.Errorf("%d processes hold the name", held)
	}
}

func TestList_fifty_fast(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		name := fmt.Sprintf("n%02d@h", i)
		mustPublish(t, mustReserve(t, dir, name), entry(name))
	}
	// The best of several: what it costs, not what else the machine is doing.
	best := time.Hour
	for range 30 {
		start := time.Now()
		list, err := List(dir, "m")
		if err != nil || len(list) != 50 {
			t.Fatalf("%d entries, %v", len(list), err)
		}
		best = min(best, time.Since(start))
	}
	t.Logf("50 entries in %v", best)
	if best > 10*time.Millisecond {
		t.Errorf("50 entries took %v", best)
	}
}
