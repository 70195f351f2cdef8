package genserver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kith-mesh/kith/genserver"
	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
)

// TestGENGlobal calls servers by names that the whole mesh agrees on.
func TestGENGlobal(t *testing.T) {
	m, here, places := setup(t)
	there := places[1].rt
	names, err := global.New(here)
	if err != nil {
		t.Fatal(err)
	}
	far, err := global.New(there)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := start(t, there)
	bg := within(t, 30*time.Second)
	if err := far.Sync(bg); err != nil {
		t.Fatal(err)
	}
	if err := far.Register(bg, "counter", pid); err != nil {
		t.Fatal(err)
	}
	to := process.Via{Registry: names, Name: "counter"}
	t.Run("GEN-01_by_global_name", func(t *testing.T) {
		meshtest.Eventually(t, "the name is known here", func() bool { _, ok := names.Whereis("counter"); return ok })
		if n, err := genserver.Call(bg, here, to, Add{N: 2}); err != nil || n != 2 {
			t.Fatal(n, err)
		}
	})
	t.Run("GEN-28_second_under_a_taken_name", func(t *testing.T) {
		second, _ := start(t, here)
		var taken *global.TakenError
		if err := names.Register(bg, "counter", second); !errors.As(err, &taken) || taken.Holder != pid {
			t.Fatal(err)
		}
	})
	t.Run("GEN-04_no_process_once_its_node_died", func(t *testing.T) {
		m.Kill(2)
		meshtest.Eventually(t, "the name is gone", func() bool { _, ok := names.Whereis("counter"); return !ok })
		if _, err := genserver.Call(bg, here, to, Add{}); !errors.Is(err, process.ErrNoProcess) {
			t.Fatal(err)
		}
	})
}
