package layers

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// table is the layers from the top, each with its packages from the left: a package imports from lower rows, or from
// its left in its own row. A name with /... stands for every package below a folder; a package below one of the table,
// such as discovery/kubernetes, has its place, and may import it. It is the table of ARCHITECTURE.md.
var table = [][]string{
	{"cmd/kith"},
	{"chat", "admin", "dashboard", "examples/..."},
	{"genserver", "supervisor", "quorum", "global", "history", "leader", "gateway", "presence", "horde"},
	{"process", "pg", "rpc"},
	{"node"},
	{"discovery", "broker"},
	{"internal/...", "config"},
}

// apart are pairs in one row of which neither uses the other, though one is to the left.
var apart = map[string]string{"rpc": "pg"}

// free packages may import anything; only tests import them.
var free = []string{"integration", "meshtest", "bench"}

// only says which packages may import something from outside of the module, and why.
var only = map[string]struct {
	packages []string
	why      string
}{
	"github.com/spf13/viper":            {[]string{"config"}, "configuration is read in one place"},
	"github.com/spf13/pflag":            {[]string{"config", "cmd/kith"}, "flags belong to programs"},
	"github.com/spf13/cobra":            {[]string{"cmd/kith"}, "commands belong to programs"},
	"github.com/nats-io/nats-server/v2": {[]string{"broker"}, "only the broker knows which server it embeds"},
	"github.com/nats-io/nats.go":        {[]string{"broker", "node", "quorum", "history", "gateway", "cmd/kith/internal/benchmark"}, "what is above sessions does not know the wire, except to speak to strangers and to compare itself with it"},
	"github.com/rs/zerolog/log":         {nil, "it is a global logger: loggers are passed in"},
	"log":                               {nil, "loggers are passed in, and are zerolog's"},
	"log/slog":                          {nil, "loggers are passed in, and are zerolog's"},
}

// place finds the row and the column of a package; ok is false when it has none.
func place(folder string) (row, column int, ok bool) {
	for row, names := range table {
		for column, name := range names {
			base := strings.TrimSuffix(name, "/...")
			if folder == base || strings.HasPrefix(folder, base+"/") {
				return row, column, true
			}
		}
	}
	return 0, 0, false
}

func isFree(folder string) bool {
	top, _, _ := strings.Cut(folder, "/")
	return slices.Contains(free, top)
}

// mayImport says whether the table lets the package from import the package to.
func mayImport(from, to string) bool {
	if from == to || strings.HasPrefix(to, from+"/internal/") || strings.HasPrefix(from, "internal/") && strings.HasPrefix(to, "internal/") {
		return true
	}
	row, column, ok := place(from)
	toRow, toColumn, toOK := place(to)
	switch {
	case !ok || !toOK:
		return false
	case apart[from] == to || apart[to] == from:
		return false
	case toRow != row:
		return toRow > row
	case column == toColumn: // one below the other, or two examples
		return strings.HasPrefix(from, to+"/") || strings.Contains(to, "/internal/")
	}
	return toColumn < column
}

func TestLayers(t *testing.T) {
	for _, p := range packages(t) {
		from := p.path()
		t.Run(strings.ReplaceAll(from, "/", "_"), func(t *testing.T) {
			if from == "." {
				if len(ours(p.Imports)) > 0 {
					t.Error("the module's own package is its documentation: it imports nothing")
				}
				return
			}
			if isFree(from) {
				return
			}
			if _, _, ok := place(from); !ok {
				t.Fatal("it has no place in the table of layers")
			}
			for _, to := range ours(p.Imports) {
				if !mayImport(from, to) {
					t.Errorf("imports %s, which is not below it", to)
				}
			}
			for _, to := range ours(p.TestImports) {
				if !isFree(to) && !mayImport(from, to) {
					t.Errorf("its tests import %s, which is not below it", to)
				}
			}
			// A test package of its own, with the examples in it, is a user's program: any library will do.
			for _, to := range ours(p.XTestImports) {
				if strings.HasPrefix(to, "cmd/") || strings.HasPrefix(to, "integration") || strings.HasPrefix(to, "bench") {
					t.Errorf("its tests import %s", to)
				}
			}
		})
	}
}

func TestOutsideImports(t *testing.T) {
	for _, p := range packages(t) {
		if isFree(p.path()) {
			continue
		}
		for _, path := range p.Imports {
			for outside, rule := range only {
				exact := !strings.Contains(outside, ".") || strings.HasSuffix(outside, "/log")
				hit := path == outside || !exact && strings.HasPrefix(path, outside+"/")
				if hit && !slices.Contains(rule.packages, p.path()) {
					t.Errorf("%s imports %s: %s", p.path(), path, rule.why)
				}
			}
		}
	}
}

// TestPureCores: state machines know no wire, and no clock but the time they are given.
func TestPureCores(t *testing.T) {
	for _, p := range packages(t) {
		if !slices.Contains([]string{"internal/membership", "internal/wire", "chat/internal/talk"}, p.path()) {
			continue
		}
		for _, path := range p.Imports {
			if strings.HasPrefix(path, "github.com/nats-io/") || path == "net" || path == "os" {
				t.Errorf("%s imports %s", p.path(), path)
			}
		}
	}
}

// TestTable holds the rules of this file against themselves.
func TestTable(t *testing.T) {
	tests := []struct {
		from, to string
		want     bool
	}{
		{"cmd/kith", "chat", true}, {"chat", "cmd/kith", false}, {"chat", "chat/internal/talk", true},
		{"pg", "process", true}, {"process", "pg", false}, {"pg", "rpc", false}, {"rpc", "pg", false}, {"rpc", "process", true},
		{"node", "broker", true}, {"broker", "discovery", true}, {"discovery", "broker", false}, {"node", "process", false},
		{"config", "internal/cookie", true}, {"internal/wire", "internal/codec", true}, {"internal/wire", "node", false},
		{"broker", "meshtest", false}, {"examples/a", "examples/b", false}, {"examples/a", "chat", true},
		{"discovery/kubernetes", "discovery", true}, {"discovery", "discovery/kubernetes", false},
		{"supervisor", "genserver", true}, {"genserver", "supervisor", false}, {"node", "unheard", false},
	}
	for _, tt := range tests {
		if got := mayImport(tt.from, tt.to); got != tt.want {
			t.Errorf("may %s import %s: got %v", tt.from, tt.to, got)
		}
	}
}

// TestArchitectureNamesEveryPackage: the table in ARCHITECTURE.md and the one here are the same.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages(t) {
		folder := p.path()
		top, _, _ := strings.Cut(folder, "/")
		if folder == "." || top == "internal" || top == "examples" || top != "cmd" && top != folder {
			continue
		}
		if !strings.Contains(string(text), "`"+folder+"`") {
			t.Errorf("ARCHITECTURE.md does not name %s", folder)
		}
	}
}
