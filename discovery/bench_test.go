package discovery

import (
	"fmt"
	"testing"
)

// BenchmarkList is what a node of a host of fifty pays every 10 s.
func BenchmarkList(b *testing.B) {
	dir := b.TempDir()
	for i := range 50 {
		name := fmt.Sprintf("n%02d@h", i)
		r, err := Local(dir).Reserve("m", name)
		if err != nil {
			b.Fatal(err)
		}
		defer r.Release()
		if err := r.Publish(entry(name)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if list, err := List(dir, "m"); err != nil || len(list) != 50 {
			b.Fatal(len(list), err)
		}
	}
}
