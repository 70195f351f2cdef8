package discovery

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain doubles as the program of the child processes that tests start: see TestLocal_processes.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DISCOVERY_TEST_HOLD"); dir != "" {
		os.Exit(hold(dir, os.Getenv("DISCOVERY_TEST_NAME")))
	}
	goleak.VerifyTestMain(m)
}

// hold reserves and publishes name, says so, and keeps it until its input ends.
func hold(dir, name string) int {
	r, err := Local(dir).Reserve("m", name)
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	if err := r.Publish(Entry{Name: name, Incarnation: 7, Addr: "127.0.0.1:4000", PID: os.Getpid()}); err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("held")
	_, _ = os.Stdin.Read(make([]byte, 1))
	if err := r.Release(); err != nil {
		fmt.Println("error", err)
		return 1
	}
	return 0
}
