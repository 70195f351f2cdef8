package node_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/internal/leak"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m, leak.Stores()...)
}
