package config

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/kith-mesh/kith/internal/nearest"
)

const (
	envPrefix = "KITH_"
	// testPrefix is free for tests and for what drives them.
	testPrefix = "KITH_TEST_"
)

// service matches the variables that Kubernetes sets in every container for a service named kith or kith-something.
var service = regexp.MustCompile(`^KITH_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// checkEnviron looks at the variables that begin with KITH_ and are none of ours: a near miss is an error, others are
// warned of.
func checkEnviron() (warnings []string, err error) {
	vars := make([]string, 0, len(keys))
	for i := range keys {
		vars = append(vars, keys[i].env())
	}
	env := os.Environ()
	slices.Sort(env)
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, testPrefix) || value == "" ||
			slices.Contains(vars, name) || service.MatchString(name) {
			continue
		}
		rest := strings.TrimPrefix(name, envPrefix)
		if meant, near := nearest.Word(rest, trimAll(vars)); near {
			return nil, unknownVariable(name, value, meant)
		}
		warnings = append(warnings, fmt.Sprintf("environment variable %s means nothing to kith", name))
	}
	return warnings, nil
}

func unknownVariable(name, value, meant string) error {
	key := strings.ToLower(strings.ReplaceAll(meant, "_", "-"))
	if k, known := lookup(key); known && k.secret || looksSecret(name) {
		value = hidden
	}
	vars := make([]string, 0, len(keys))
	for i := range keys {
		vars = append(vars, keys[i].env())
	}
	return &Error{
		Key: name, Unknown: true, Value: value, Origin: "environment variable", Meant: envPrefix + meant,
		Allowed: strings.Join(vars, ", "),
	}
}

// trimAll removes the prefix, which is not mistyped, so that it does not make short words look long.
func trimAll(vars []string) []string {
	list := make([]string, len(vars))
	for i, v := range vars {
		list[i] = strings.TrimPrefix(v, envPrefix)
	}
	return list
}
