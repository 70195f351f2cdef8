package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/genserver"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/supervisor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

func runtime(t testing.TB) *process.Runtime {
	t.Helper()
	rt, err := process.New(meshtest.New(t, 1).Node(1))
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

// diary notes, in order, what children do.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) write(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) read() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, " ")
}

// await waits until the diary reads as given.
func (d *diary) await(t testing.TB, want string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("the diary reads %q", d.read())
		}
	}()
	meshtest.Eventually(t, want, func() bool { return d.read() == want })
}

// child ends as it is told by a message, and notes its start and end. It has started when its start function returns.
func (d *diary) child(id string) supervisor.Child {
	c := supervisor.Behaviour(id, nil)
	c.Start = func(ctx context.Context, sup *process.Process) (process.PID, error) {
		w := &worker{d, id, make(chan struct{})}
		start := supervisor.Behaviour(id, func() process.Behaviour { return w }, process.WithName(id)).Start
		pid, err := start(ctx, sup)
		<-w.started
		return pid, err
	}
	return c
}

type worker struct {
	d       *diary
	id      string
	started chan struct{}
}

func (w *worker) Init(*process.Process) error {
	w.d.write("+%s", w.id)
	close(w.started)
	return nil
}

func (w *worker) Handle(_ *process.Process, m process.Message) error {
	err, _ := m.(error)
	return err
}
func (w *worker) Terminate(*process.Process, error) { w.d.write("-%s", w.id) }

func end(t testing.TB, rt *process.Runtime, name string, reason error) {
	t.Helper()
	meshtest.Eventually(t, name+" runs", func() bool { return rt.SendTo(bg, process.Name{Name: name}, reason) == nil })
}

var errOops = errors.New("oops")

func start(t testing.TB, rt *process.Runtime, spec supervisor.Spec, opts ...process.SpawnOption) *supervisor.Supervisor {
	t.Helper()
	sup, err := supervisor.Start(bg, rt, spec, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sup.Stop(bg) })
	return sup
}

func TestSupervisor(t *testing.T) {
	t.Run("order_and_strategies", func(t *testing.T) {
		for _, row := range []struct {
			strategy supervisor.Strategy
			want     string
		}{
			{supervisor.OneForOne, "+a +b +c -b +b -c -b -a"},
			{supervisor.OneForAll, "+a +b +c -b -c -a +a +b +c -c -b -a"},
			{supervisor.RestForOne, "+a +b +c -b -c +b +c -c -b -a"},
		} {
			rt, d := runtime(t), &diary{}
			sup := start(t, rt, supervisor.Spec{Strategy: row.strategy, Children: []supervisor.Child{d.child("a"), d.child("b"), d.child("c")}})
			d.await(t, "+a +b +c")
			end(t, rt, "b", errOops)
			before, _, _ := strings.Cut(row.want, " -c -b -a")
			if row.strategy == supervisor.OneForAll {
				before = "+a +b +c -b -c -a +a +b +c"
			}
			d.await(t, before)
			if err := sup.Stop(bg); err != nil {
				t.Fatal(err)
			}
			if got := d.read(); got != row.want {
				t.Errorf("%v: %s", row.strategy, got)
			}
			if err := sup.Stop(bg); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("gives_up", func(t *testing.T) {
		rt := runtime(t)
		sup := start(t, rt, supervisor.Spec{Intensity: supervisor.Intensity{Restarts: 2}, Children: []supervisor.Child{
			supervisor.Func("steady", func(ctx context.Context) error { <-ctx.Done(); return nil }),
			supervisor.Func("crash", func(context.Context) error { return errOops }),
		}})
		var tooMany *supervisor.IntensityError
		if err := sup.Wait(bg); !errors.As(err, &tooMany) || tooMany.Child != "crash" || tooMany.Reason != errOops {
			t.Fatal(err)
		}
		if n := rt.Stats().Processes; n != 0 {
			t.Fatalf("%d processes are left", n)
		}
	})
	t.Run("nested_escalates", func(t *testing.T) {
		rt, d := runtime(t), &diary{}
		inner := supervisor.Spec{Intensity: supervisor.Intensity{Restarts: -1}, Children: []supervisor.Child{d.child("x")}}
		sup := start(t, rt, supervisor.Spec{Children: []supervisor.Child{supervisor.Nested("inner", inner)}})
		end(t, rt, "x", errOops)
		d.await(t, "+x -x +x")
		list, err := sup.Children(bg)
		if err != nil || len(list) != 1 || list[0].Restarts != 1 || !list[0].Supervisor {
			t.Fatal(list, err)
		}
		tree, err := sup.Tree(bg)
		if text := tree.String(); err != nil || !strings.Contains(text, "└─ inner permanent supervisor one_for_one") ||
			!strings.Contains(text, "   └─ x permanent") || !strings.Contains(text, "restarted 1 times") {
			t.Fatal(text, err)
		}
		if err := sup.Stop(bg); err != nil {
			t.Fatal(err)
		}
		d.await(t, "+x -x +x -x")
	})
	t.Run("children_of_every_kind", func(t *testing.T) {
		rt := runtime(t)
		servers := &genserver.Server[int]{
			Init:     func(*genserver.Self) (int, error) { return 7, nil },
			Handlers: []genserver.Handler[int]{genserver.OnCall(func(n int, _ *genserver.Self, _ get) (int, error) { return n, nil })},
		}
		sup := start(t, rt, supervisor.Spec{Children: []supervisor.Child{
			supervisor.Server("server", servers, process.WithName("server")),
			supervisor.Process("process", func(self *process.Process) error { _, err := self.Receive(bg); return err }),
			supervisor.Func("func", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
		}})
		for range 2 {
			if got, err := genserver.Call(bg, rt, process.Name{Name: "server"}, get{}); got != 7 || err != nil {
				t.Fatal(got, err)
			}
			old, _ := rt.Whereis("server")
			rt.Exit(old, process.ErrKill)
			meshtest.Eventually(t, "restarted", func() bool { now, ok := rt.Whereis("server"); return ok && now != old })
		}
		list, err := sup.Children(bg)
		if err != nil || len(list) != 3 || list[0].Restarts != 2 || list[2].Uptime <= 0 {
			t.Fatal(list, err)
		}
	})
	t.Run("start_fails", func(t *testing.T) {
		rt, d := runtime(t), &diary{}
		bad := supervisor.Child{ID: "bad", Start: func(context.Context, *process.Process) (process.PID, error) { return process.PID{}, errOops }}
		_, err := supervisor.Start(bg, rt, supervisor.Spec{Children: []supervisor.Child{d.child("a"), bad}})
		var failed *supervisor.StartError
		if !errors.As(err, &failed) || failed.Child != "bad" || !errors.Is(err, errOops) {
			t.Fatal(err)
		}
		d.await(t, "+a -a")
		bad.Start = func(context.Context, *process.Process) (process.PID, error) { panic("in start") }
		if _, err := supervisor.Start(bg, rt, supervisor.Spec{Children: []supervisor.Child{bad}}); !strings.Contains(fmt.Sprint(err), "in start") {
			t.Fatal(err)
		}
		servers := &genserver.Server[int]{Init: func(*genserver.Self) (int, error) { return 0, errOops }}
		sup := start(t, rt, supervisor.Spec{})
		if _, err := sup.StartChild(bg, supervisor.Server("s", servers)); !errors.Is(err, errOops) {
			t.Fatal(err)
		}
		if list, err := sup.Children(bg); len(list) != 0 || err != nil { // and its exit signal did no harm
			t.Fatal(list, err)
		}
	})
	t.Run("restart_fails_and_is_tried_again", func(t *testing.T) {
		rt, d := runtime(t), &diary{}
		fail := 0
		child := d.child("a")
		startA := child.Start
		child.Start = func(ctx context.Context, sup *process.Process) (process.PID, error) {
			if fail++; fail == 2 || fail == 3 {
				d.write("fail")
				return process.PID{}, errOops
			}
			return startA(ctx, sup)
		}
		for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.RestForOne} {
			*d = diary{}
			fail = 0
			sup := start(t, rt, supervisor.Spec{Strategy: strategy, Children: []supervisor.Child{child, d.child("b")}})
			end(t, rt, "a", errOops)
			if strategy == supervisor.OneForOne {
				d.await(t, "+a +b -a fail fail +a")
			} else {
				d.await(t, "+a +b -a -b fail fail +a +b")
			}
			_ = sup.Stop(bg)
		}
	})
	t.Run("backoff", func(t *testing.T) {
		rt, d := runtime(t), &diary{}
		sup := start(t, rt, supervisor.Spec{
			Backoff: supervisor.Backoff{Min: 50 * time.Millisecond, Max: time.Second}, Children: []supervisor.Child{d.child("a"), d.child("b")},
		})
		begin := time.Now()
		end(t, rt, "a", errOops)
		meshtest.Eventually(t, "waits", func() bool { list, _ := sup.Children(bg); return list[0].Waiting })
		d.await(t, "+a +b -a +a")
		if took := time.Since(begin); took < 50*time.Millisecond {
			t.Fatal(took)
		}
		end(t, rt, "b", errOops)
		meshtest.Eventually(t, "waits", func() bool { list, _ := sup.Children(bg); return list[1].Waiting })
		if err := sup.StopChild(bg, "b"); err != nil {
			t.Fatal(err)
		}
		if _, err := sup.RestartChild(bg, "b"); err != nil { // the old timer means nothing now
			t.Fatal(err)
		}
		d.await(t, "+a +b -a +a -b +b")
	})
	t.Run("shutdown_times", func(t *testing.T) {
		rt := runtime(t)
		release := make(chan struct{})
		defer close(release)
		deaf := supervisor.Func("deaf", func(context.Context) error { <-release; return nil }, process.WithName("deaf"))
		deaf.Shutdown = 20 * time.Millisecond
		killed := supervisor.Func("killed", func(context.Context) error { <-release; return nil })
		killed.Shutdown = supervisor.Kill
		polite := supervisor.Func("polite", func(ctx context.Context) error {
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), process.ErrShutdown) {
				t.Error(context.Cause(ctx))
			}
			return nil
		})
		sup := start(t, rt, supervisor.Spec{Children: []supervisor.Child{polite, deaf, killed}})
		meshtest.Eventually(t, "runs", func() bool { return rt.Stats().Processes == 4 })
		if err := sup.Stop(bg); err != nil {
			t.Fatal(err)
		}
		if _, ok := rt.Whereis("deaf"); ok || rt.Stats().Processes != 0 {
			t.Fatal("something is left")
		}
	})
	t.Run("dynamic", func(t *testing.T) {
		rt, d := runtime(t), &diary{}
		sup := start(t, rt, supervisor.Spec{})
		pid, err := sup.StartChild(bg, d.child("a"))
		if err != nil || !rt.Alive(pid) {
			t.Fatal(pid, err)
		}
		temporary := supervisor.Func("", func(ctx context.Context) error { <-ctx.Done(); return nil })
		temporary.Restart = supervisor.Temporary
		if _, err := sup.StartChild(bg, temporary); err != nil {
			t.Fatal(err)
		}
		if _, err := sup.StartChild(bg, d.child("a")); !errors.Is(err, supervisor.ErrRunning) {
			t.Fatal(err)
		}
		if err := sup.DeleteChild(bg, "a"); !errors.Is(err, supervisor.ErrRunning) {
			t.Fatal(err)
		}
		if _, err := sup.RestartChild(bg, "a"); !errors.Is(err, supervisor.ErrRunning) {
			t.Fatal(err)
		}
		for range 2 {
			if err := sup.StopChild(bg, "a"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := sup.StartChild(bg, d.child("a")); !errors.Is(err, supervisor.ErrPresent) {
			t.Fatal(err)
		}
		if _, err := sup.RestartChild(bg, "a"); err != nil {
			t.Fatal(err)
		}
		_ = sup.StopChild(bg, "a")
		if err := sup.DeleteChild(bg, "a"); err != nil {
			t.Fatal(err)
		}
		if err := sup.StopChild(bg, "child-1"); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{sup.StopChild(bg, "a"), sup.DeleteChild(bg, "child-1")} {
			if !errors.Is(err, supervisor.ErrNoChild) {
				t.Fatal(err)
			}
		}
		if list, err := sup.Children(bg); len(list) != 0 || err != nil {
			t.Fatal(list, err)
		}
	})
	t.Run("many_temporary_children", func(t *testing.T) {
		rt := runtime(t)
		sup := start(t, rt, supervisor.Spec{})
		var done sync.WaitGroup
		for range 2000 {
			done.Add(1)
			c := supervisor.Func("", func(context.Context) error { done.Done(); return errOops })
			c.Restart = supervisor.Temporary
			if _, err := sup.StartChild(bg, c); err != nil {
				t.Fatal(err)
			}
		}
		done.Wait()
		meshtest.Eventually(t, "none are left", func() bool { list, _ := sup.Children(bg); return len(list) == 0 })
	})
	t.Run("transient_and_permanent", func(t *testing.T) {
		rt, d := runtime(t), &diary{}
		a, b := d.child("a"), d.child("b")
		a.Restart = supervisor.Transient
		sup := start(t, rt, supervisor.Spec{Children: []supervisor.Child{a, b}})
		end(t, rt, "a", process.ErrNormal)
		d.await(t, "+a +b -a")
		end(t, rt, "b", process.ErrNormal)
		d.await(t, "+a +b -a -b +b")
		list, err := sup.Children(bg)
		if err != nil || !list[0].PID.IsZero() || list[1].PID.IsZero() {
			t.Fatal(list, err)
		}
	})
	t.Run("ends_with_its_parent", func(t *testing.T) {
		rt, d := runtime(t), &diary{}
		parent, stranger := rt.Attach(), rt.Attach()
		sup := start(t, rt, supervisor.Spec{Children: []supervisor.Child{d.child("a")}}, process.WithLink(parent))
		stranger.Link(sup.PID())
		stranger.Detach(errOops)
		if _, err := sup.Children(bg); err != nil {
			t.Fatal(err)
		}
		parent.Detach(nil)
		if err := sup.Wait(bg); !errors.Is(err, process.ErrNormal) && !errors.Is(err, process.ErrNoProcess) {
			t.Fatal(err)
		}
		d.await(t, "+a -a")
	})
	t.Run("killed", func(t *testing.T) {
		rt, d := runtime(t), &diary{}
		sup := start(t, rt, supervisor.Spec{Children: []supervisor.Child{d.child("a")}})
		rt.Exit(sup.PID(), process.ErrKill)
		d.await(t, "+a -a")
	})
	t.Run("runtime_shutdown", func(t *testing.T) {
		rt, d := runtime(t), &diary{}
		inner := supervisor.Spec{Children: []supervisor.Child{d.child("a"), d.child("b")}}
		start(t, rt, supervisor.Spec{Children: []supervisor.Child{supervisor.Nested("inner", inner), d.child("c")}})
		ctx, cancel := context.WithTimeout(bg, 10*time.Second)
		defer cancel()
		if err := rt.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		if n := rt.Stats().Processes; n != 0 {
			t.Fatal(n)
		}
	})
	t.Run("bad_spec", func(t *testing.T) {
		if _, err := supervisor.Start(bg, runtime(t), supervisor.Spec{Strategy: 7}); !errors.Is(err, supervisor.ErrBadSpec) {
			t.Fatal(err)
		}
		names := []string{supervisor.Strategy(9).String(), supervisor.Restart(9).String(), supervisor.Transient.String(), supervisor.RestForOne.String()}
		if !slices.Equal(names, []string{"unknown", "unknown", "transient", "rest_for_one"}) {
			t.Fatal(names)
		}
	})
}

type get struct{ genserver.Returns[int] }

func TestAcrossNodes(t *testing.T) {
	m := meshtest.New(t, 2)
	var rts []*process.Runtime
	for _, n := range m.Nodes() {
		rt, err := process.New(n)
		if err != nil {
			t.Fatal(err)
		}
		if err := process.RegisterFunc(rt, "idle", func(self *process.Process, _ any) error { <-self.Context().Done(); return nil }); err != nil {
			t.Fatal(err)
		}
		rts = append(rts, rt)
	}
	// The child lives on the second node while that lives, else on the first.
	sup := start(t, rts[0], supervisor.Spec{Children: []supervisor.Child{{
		ID: "wanderer",
		Start: func(ctx context.Context, sup *process.Process) (process.PID, error) {
			rt := sup.Runtime()
			nodes := append(rt.Node().Nodes(), rt.Node().Name())
			return rt.SpawnAt(ctx, nodes[0], "idle", nil, process.WithLink(sup))
		},
	}}})
	list, err := sup.Children(bg)
	if err != nil || list[0].PID.Node != m.Node(2).Name() {
		t.Fatal(list, err)
	}
	far := supervisor.At(rts[1], sup.PID())
	tree, err := far.Tree(bg)
	if err != nil || len(tree.Children) != 1 || tree.Children[0].ID != "wanderer" {
		t.Fatal(tree, err)
	}
	if err := far.StopChild(bg, "nobody"); err == nil || !strings.Contains(err.Error(), "no such child") {
		t.Fatal(err)
	}
	if _, err := far.StartChild(bg, supervisor.Func("f", func(context.Context) error { return nil })); !errors.Is(err, process.ErrBadMessage) {
		t.Fatal(err)
	}
	m.Kill(2)
	meshtest.Eventually(t, "the child has moved", func() bool {
		list, err := sup.Children(bg)
		return err == nil && list[0].PID.Node == m.Node(1).Name() && list[0].Restarts == 1
	})
}
