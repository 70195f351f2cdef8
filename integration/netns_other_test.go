//go:build !linux

package integration

import "testing"

func TestNetwork(t *testing.T) { t.Skip("network namespaces are Linux's") }

func TestFormation(t *testing.T) { t.Skip("network namespaces are Linux's") }
