//go:build !kubernetes

package main

import "github.com/kith-mesh/kith/discovery"

// extraStrategies are those that are not built into package discovery: none without the build tag kubernetes, which
// makes the program nearly twice as large.
func extraStrategies() map[string]discovery.Maker { return nil }
