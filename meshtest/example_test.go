package meshtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
)

// Three nodes form a mesh; the link between two of them is cut, which takes each from the other's list and from nobody
// else's; mended, they find each other again.
func Example() {
	t := new(exampleT) // in a test: the *testing.T
	defer t.end()

	m := meshtest.New(t, 3, meshtest.Tick(100*time.Millisecond))
	m.Cut(1, 2)
	meshtest.Eventually(t, "split", func() bool { return !m.Connected(1, 2) })
	fmt.Println("cut:", m.Connected(1, 2), m.Connected(1, 3), m.Connected(2, 3))
	m.Mend(1, 2)
	m.WaitFull()
	fmt.Println("mended:", m.Connected(1, 2))
	// Output:
	// cut: false true true
	// mended: true
}

// exampleT is as much of a testing.T as an example needs, which has none.
type exampleT struct {
	testing.TB
	cleanups []func()
}

func (t *exampleT) Helper()                   {}
func (t *exampleT) Cleanup(f func())          { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (t *exampleT) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (t *exampleT) Errorf(f string, a ...any) { fmt.Printf(f+"\n", a...) }

func (t *exampleT) end() {
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
}
