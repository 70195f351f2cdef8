package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/config"
)

// release is the version that this source tree will become. A binary made by go install of a tagged version says that
// version instead.
const release = "v0.1.0-dev"

// version is the version of kith in this program.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" || strings.HasPrefix(info.Main.Version, "v0.0.0-") {
		return release
	}
	return info.Main.Version
}

// versions are what kith version prints.
type versions struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	// NATS is the version of the embedded server, NATSClient of the client library.
	NATS       string `json:"nats"`
	NATSClient string `json:"nats_client"`
}

func readVersions() versions {
	v := versions{Version: version(), Go: runtime.Version(), NATS: "unknown", NATSClient: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		switch d.Path {
		case "github.com/nats-io/nats-server/v2":
			v.NATS = d.Version
		case "github.com/nats-io/nats.go":
			v.NATSClient = d.Version
		}
	}
	return v
}

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "version",
		Short:             "print the versions of kith, Go and NATS",
		Example:           "  kith version -o json",
		Args:              takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			v := readVersions()
			return a.print(cfg, v, func() string {
				return fmt.Sprintf("kith %s\ngo %s\nnats-server %s\nnats.go %s\n", v.Version, strings.TrimPrefix(v.Go, "go"), v.NATS, v.NATSClient)
			})
		},
	}
	config.AddFlags(cmd.Flags(), config.OutputFlag)
	return cmd
}
