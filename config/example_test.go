package config_test

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/kith-mesh/kith/config"
)

// A command defines the flags, parses them, and reads everything with Load. Here a flag is given and wins over what a
// variable or a file would say.
func Example() {
	flags := pflag.NewFlagSet("program", pflag.ContinueOnError)
	config.AddFlags(flags, config.CommonFlags)
	if err := flags.Parse([]string{"--mesh", "office", "--tick", "500ms", "--data-dir", "/var/lib/kith"}); err != nil {
		fmt.Println(err)
		return
	}
	cfg, err := config.Load(flags)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(cfg.Mesh, cfg.Tick, cfg.ClusterListen)
	// Output: office 500ms 127.0.0.1:0
}

// A value that is not allowed names its key, its place and what is allowed.
func ExampleLoad_badValue() {
	flags := pflag.NewFlagSet("program", pflag.ContinueOnError)
	config.AddFlags(flags, config.CommonFlags)
	_ = flags.Parse([]string{"--mode", "sideways"})
	_, err := config.Load(flags)
	fmt.Println(err)
	// Output: bad value "sideways" for mode (flag --mode): is none of them; allowed: embedded, leaf, external
}
