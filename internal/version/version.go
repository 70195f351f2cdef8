// Package version says of which versions this program is made, as far as its build recorded it.
package version

import (
	"runtime/debug"
	"strings"
)

// The modules whose versions are of interest.
const (
	module     = "github.com/kith-mesh/kith"
	NATSServer = "github.com/nats-io/nats-server/v2"
	NATSClient = "github.com/nats-io/nats.go"
)

// release is the version that this source tree will become. A program that was built from a tagged version says that
// version instead.
const release = "v0.1.0-dev"

// Unknown is what Of returns for a module that the build did not record.
const Unknown = "unknown"

// Kith is the version of kith in this program, whether it is the command or uses the library.
func Kith() string {
	switch v := Of(module); {
	case v == Unknown, v == "", v == "(devel)", strings.HasPrefix(v, "v0.0.0-"):
		return release
	default:
		return v
	}
}

// Of is the version of a module in this program.
func Of(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Unknown
	}
	if info.Main.Path == path {
		return info.Main.Version
	}
	for _, d := range info.Deps {
		if d.Path != path {
			continue
		}
		if d.Replace != nil {
			d = d.Replace
		}
		return d.Version
	}
	return Unknown
}
