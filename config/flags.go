package config

import "github.com/spf13/pflag"

// Group is a set of flags that belong together.
type Group uint8

// The groups.
const (
	// CommonFlags are those of every command.
	CommonFlags Group = iota
	// ChatFlags are --nick, --room and --plain.
	ChatFlags
	// ScopeFlag is --scope.
	ScopeFlag
	// NodesFlag is --nodes.
	NodesFlag
	// TimeoutFlag is --timeout.
	TimeoutFlag
	// OutputFlag is --output, or -o.
	OutputFlag
	// BenchFlags are --tls and --quick.
	BenchFlags
)

// AddFlags defines the flags of the groups in fs. Their values are checked by Load, not when the command line is
// parsed, so that all errors look alike. A list flag may be given several times. A flag that fs has already panics, as
// pflag does.
func AddFlags(fs *pflag.FlagSet, groups ...Group) {
	for _, g := range groups {
		for i := range keys {
			if k := &keys[i]; k.group == g {
				addFlag(fs, k)
			}
		}
	}
}

func addFlag(fs *pflag.FlagSet, k *key) {
	usage := k.usage
	if k.shown != "" {
		usage += " (default: " + k.shown + ")"
	}
	f := fs.VarPF(&flagValue{key: k, text: k.def}, k.name, k.short, usage)
	if k.kind == truth {
		f.NoOptDefVal = "true"
	}
}

// flagValue keeps what the command line says about one key. It is a pflag.Value.
type flagValue struct {
	key   *key
	text  string
	given bool
}

// Set keeps s; a list grows.
func (f *flagValue) Set(s string) error {
	if f.given && f.key.kind == list {
		s = f.text + "," + s
	}
	f.text, f.given = s, true
	return nil
}

// String is what was given, or the default.
func (f *flagValue) String() string { return f.text }

// Type is the placeholder in the help; "bool" makes pflag print none.
func (f *flagValue) Type() string {
	if f.key.kind == truth {
		return "bool"
	}
	return f.key.arg
}

// boundFlag shows a flag to viper as plain text: viper would turn a bad truth value into false without a word.
type boundFlag struct{ flag *pflag.Flag }

func (b boundFlag) HasChanged() bool    { return b.flag.Changed }
func (b boundFlag) Name() string        { return b.flag.Name }
func (b boundFlag) ValueString() string { return b.flag.Value.String() }
func (b boundFlag) ValueType() string   { return "string" }
