package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/internal/version"
)

// versions are what kith version prints.
type versions struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	// NATS is the version of the embedded server, NATSClient of the client library.
	NATS       string `json:"nats"`
	NATSClient string `json:"nats_client"`
}

func readVersions() versions {
	return versions{
		Version: version.Kith(), Go: runtime.Version(),
		NATS: version.Of(version.NATSServer), NATSClient: version.Of(version.NATSClient),
	}
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
