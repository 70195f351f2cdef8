package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kith-mesh/kith/admin"
	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/internal/cookie"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// TestGlobal lists the names that a program has registered, as another node sees them, and finds one of them.
func TestGlobal(t *testing.T) {
	dir := t.TempDir()
	startNode(t, dir, "a")
	if stdout, stderr := kithIn(t, dir, 0, "global"); stdout != "" || stderr != "" {
		t.Errorf("without names: got %q, %q", stdout, stderr)
	}
	secret, err := cookie.Load(filepath.Join(dir, "cookie"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Start(t.Context(), node.Config{Name: "program@127.0.0.1", Mesh: "kith", Cookie: secret, DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	rt, err := process.New(n)
	if err != nil {
		t.Fatal(err)
	}
	names, err := global.New(rt, global.SeveralNames())
	if err != nil {
		t.Fatal(err)
	}
	if err := names.WaitPeers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	pid := rt.Spawn(func(self *process.Process) error { <-self.Context().Done(); return nil })
	for _, name := range []string{"svc/b", "svc/a", "odd\nname"} {
		if err := names.Register(t.Context(), name, pid, global.WithMeta(global.Meta{"k": "v"})); err != nil {
			t.Fatal(err)
		}
	}
	line := " " + pid.String() + " program@127.0.0.1\n"
	if stdout, _ := kithIn(t, dir, 0, "global"); stdout != `"odd\nname"`+line+"svc/a"+line+"svc/b"+line {
		t.Errorf("got %q", stdout)
	}
	if stdout, _ := kithIn(t, dir, 0, "global", "svc/b"); stdout != "svc/b"+line {
		t.Errorf("got %q", stdout)
	}
	stdout, _ := kithIn(t, dir, 0, "global", "-o", "json")
	var list []admin.GlobalName
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || len(list) != 3 {
		t.Fatalf("got %q, %v", stdout, err)
	}
	stdout, _ = kithIn(t, dir, 0, "global", "svc/a", "-o", "json")
	var one admin.GlobalName
	if err := json.Unmarshal([]byte(stdout), &one); err != nil {
		t.Fatalf("got %q, %v", stdout, err)
	}
	if e, _ := names.Lookup("svc/a"); one.Name != "svc/a" || one.PID != pid || one.Meta["k"] != "v" || one.Token != e.Version.Clock {
		t.Errorf("got %+v", one)
	}
	for _, absent := range []string{"svc/", "svc/aa", "nobody"} {
		if stdout, stderr := kithIn(t, dir, 1, "global", absent); stdout != "" || stderr != "error: no such global name: "+absent+"\n" {
			t.Errorf("%s: got %q, %q", absent, stdout, stderr)
		}
	}
	for _, wrong := range [][]string{{"a", "b"}, {""}, {strings.Repeat("x", global.MaxName+1)}} {
		if status, _, stderr := kith(t, append([]string{"global", "--data-dir", dir}, wrong...)...); status != statusUsage || !strings.HasPrefix(stderr, "error: ") {
			t.Errorf("%q: %d, %q", wrong, status, stderr)
		}
	}
}
