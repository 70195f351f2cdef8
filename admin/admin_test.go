package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/admin"
	"github.com/kith-mesh/kith/internal/codec"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served is a node with everything on it.
type served struct {
	runtime *process.Runtime
	groups  *pg.Groups
	calls   *rpc.Server
	stopped chan struct{}
	// reloaded holds one for each call of kith.reload.
	reloaded chan struct{}
}

func serve(t *testing.T, n *node.Node) served {
	t.Helper()
	s := served{stopped: make(chan struct{}), reloaded: make(chan struct{}, 1)}
	var err error
	if s.runtime, err = process.New(n); err != nil {
		t.Fatal(err)
	}
	if s.groups, err = pg.New(s.runtime); err != nil {
		t.Fatal(err)
	}
	if s.calls, err = rpc.New(n); err != nil {
		t.Fatal(err)
	}
	stop := func() { close(s.stopped) }
	reload := func() error {
		s.reloaded <- struct{}{}
		return nil
	}
	if err := admin.Serve(admin.Config{Runtime: s.runtime, Groups: s.groups, Calls: s.calls, Stop: stop, Reload: reload}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestServe(t *testing.T) {
	m := meshtest.New(t, 2)
	m.WaitFull()
	a, b := serve(t, m.Node(1)), serve(t, m.Node(2))
	ctx, at := t.Context(), m.Node(1).Name()

	t.Run("nodes", func(t *testing.T) {
		list, err := rpc.Call[any, []admin.NodeInfo](ctx, b.calls, at, admin.FuncNodes, nil)
		want := []admin.NodeInfo{{Name: at, Visibility: admin.Visible}, {Name: m.Node(2).Name(), Visibility: admin.Visible}}
		if err != nil || !slices.Equal(list, want) {
			t.Errorf("got %v, %v", list, err)
		}
	})
	t.Run("no_scope", func(t *testing.T) {
		_, err := rpc.Call[any, []admin.Name](ctx, b.calls, at, admin.FuncGroups, nil)
		if rpc.ErrorKind(err) != admin.KindNoScope {
			t.Errorf("got %v", err)
		}
		if _, runs := a.groups.Lookup(pg.DefaultScope); runs {
			t.Error("looking started a scope")
		}
	})
	scope, err := a.groups.Scope(pg.DefaultScope)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan process.Message, 1)
	pid := a.runtime.Spawn(func(self *process.Process) error {
		msg, err := self.Receive(self.Context())
		got <- msg
		return err
	})
	const group = "any \xff bytes"
	if err := scope.Join(group, pid); err != nil {
		t.Fatal(err)
	}
	t.Run("groups", func(t *testing.T) {
		list, err := rpc.Call[admin.GroupsRequest, []admin.Name](ctx, b.calls, at, admin.FuncGroups, admin.GroupsRequest{})
		if err != nil || !slices.Equal(list, []admin.Name{group}) {
			t.Errorf("got %q, %v", list, err)
		}
	})
	t.Run("members", func(t *testing.T) {
		list, err := rpc.Call[admin.MembersRequest, []admin.Member](ctx, b.calls, at, admin.FuncMembers, admin.MembersRequest{Group: group})
		if err != nil || !slices.Equal(list, []admin.Member{{PID: pid, Node: at}}) {
			t.Errorf("got %v, %v", list, err)
		}
	})
	t.Run("members_as_json", func(t *testing.T) {
		raw, err := b.calls.CallJSON(ctx, at, admin.FuncMembers, json.RawMessage(`{"group":"nobody"}`))
		if err != nil || string(raw) != "[]" {
			t.Errorf("got %s, %v", raw, err)
		}
	})
	t.Run("broadcast", func(t *testing.T) {
		d, err := rpc.Call[admin.BroadcastRequest, admin.Delivery](ctx, b.calls, at, admin.FuncBroadcast, admin.BroadcastRequest{Group: group, Text: "hi"})
		if err != nil || d.Members != 1 || d.Nodes != 1 || len(d.Skipped) != 0 {
			t.Errorf("got %v, %v", d, err)
		}
		if msg := <-got; msg != "hi" {
			t.Errorf("got %v", msg)
		}
	})
	t.Run("report", func(t *testing.T) {
		r, err := rpc.Call[any, admin.Report](ctx, b.calls, at, admin.FuncReport, nil)
		if err != nil || r.Name != at || !r.Sees(m.Node(2).Name()) || r.Sees("nobody@h") || r.Counters["frames_in"] == 0 {
			t.Errorf("got %v, %v", r, err)
		}
	})
	t.Run("info", func(t *testing.T) {
		info, err := rpc.Call[any, rpc.Info](ctx, b.calls, at, "kith.info", nil)
		if err != nil || info.Counters["node"] == nil || info.Counters["process"] == nil || info.Counters["pg"] == nil {
			t.Errorf("got %v, %v", info, err)
		}
		for part, counters := range info.Counters {
			for name := range counters.(map[string]any) {
				if name != strings.ToLower(name) {
					t.Errorf("the counter %s of %s", name, part)
				}
			}
		}
	})
	t.Run("reload", func(t *testing.T) {
		ok, err := rpc.Call[any, bool](ctx, b.calls, at, admin.FuncReload, nil)
		if err != nil || !ok || len(a.reloaded) != 1 {
			t.Errorf("got %v, %v", ok, err)
		}
	})
	t.Run("draining", func(t *testing.T) {
		if err := m.Node(2).Drain(ctx); err != nil {
			t.Fatal(err)
		}
		for _, caller := range []served{a, b} { // the node itself, and its peer
			at := caller.calls.ID().Name
			list, err := rpc.Call[any, []admin.NodeInfo](ctx, a.calls, at, admin.FuncNodes, nil)
			if err != nil || list[0].Draining || !list[1].Draining {
				t.Errorf("%s says %v, %v", at, list, err)
			}
		}
	})
	t.Run("stop", func(t *testing.T) {
		ok, err := rpc.Call[any, bool](ctx, b.calls, at, admin.FuncStop, nil)
		if err != nil || !ok {
			t.Errorf("got %v, %v", ok, err)
		}
		<-a.stopped
	})
}

// TestStopByDefault: without a Stop the node itself is shut down.
func TestStopByDefault(t *testing.T) {
	m := meshtest.New(t, 1)
	n := m.Node(1)
	rt, err := process.New(n)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := pg.New(rt)
	if err != nil {
		t.Fatal(err)
	}
	calls, err := rpc.New(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.Serve(admin.Config{Runtime: rt, Groups: groups, Calls: calls}); err != nil {
		t.Fatal(err)
	}
	if _, err := rpc.Call[any, bool](t.Context(), calls, n.Name(), admin.FuncStop, nil); err != nil {
		t.Fatal(err)
	}
	<-n.Done()
}

func TestNameEncodings(t *testing.T) {
	for _, name := range []admin.Name{"", "lobby", "två", "\xff\x00", "\xc3"} {
		data, err := codec.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		var back admin.Name
		if err := codec.Unmarshal(data, &back); err != nil || back != name {
			t.Errorf("%q came back as %q, %v", name, back, err)
		}
	}
	if data, _ := json.Marshal(admin.Name("\xff")); string(data) != `"\"\\xff\""` {
		t.Errorf("got %s", data)
	}
}

// A program makes its nodes answer the command kith by serving the functions once.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kith")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	n, err := node.Start(ctx, node.Config{Name: "a@127.0.0.1", Cookie: []byte("at least 16 bytes"), DataDir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Shutdown(ctx)
	runtime, err1 := process.New(n)
	groups, err2 := pg.New(runtime)
	calls, err3 := rpc.New(n)
	if err1 != nil || err2 != nil || err3 != nil {
		fmt.Println(err1, err2, err3)
		return
	}
	if err := admin.Serve(admin.Config{Runtime: runtime, Groups: groups, Calls: calls}); err != nil {
		fmt.Println(err)
		return
	}
	// What kith nodes asks for:
	list, err := rpc.Call[any, []admin.NodeInfo](ctx, calls, "a@127.0.0.1", admin.FuncNodes, nil)
	fmt.Println(list, err)
	// Output: [{a@127.0.0.1 visible false}] <nil>
}
