package version

import (
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	if v := Kith(); !strings.HasPrefix(v, "v0.") {
		t.Errorf("kith %s", v)
	}
	if v := Of("example.org/unheard"); v != Unknown {
		t.Errorf("unheard %s", v)
	}
}
