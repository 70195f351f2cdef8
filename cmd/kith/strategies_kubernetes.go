//go:build kubernetes

package main

import (
	"github.com/kith-mesh/kith/discovery"
	"github.com/kith-mesh/kith/discovery/kubernetes"
)

// extraStrategies are those that are not built into package discovery.
func extraStrategies() map[string]discovery.Maker {
	return map[string]discovery.Maker{"kubernetes": kubernetes.Parse}
}
