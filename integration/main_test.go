package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// kith is the binary under test.
var kith string

// patience is how long anything may take that should happen at once. It bounds a failing test, not a passing one.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

// buildAndRun builds the command and runs the tests. KITH_TEST_BINARY names a binary that is there already.
func buildAndRun(m *testing.M) int {
	if kith = os.Getenv("KITH_TEST_BINARY"); kith != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "kith-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	kith = filepath.Join(dir, "kith")
	args := []string{"build", "-o", kith}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "../cmd/kith")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
