package nearest

import "testing"

func TestWord(t *testing.T) {
	words := []string{"name", "mesh", "cookie", "cookie-file", "join", "data-dir", "nodes"}
	tests := []struct{ word, want string }{
		{"mehs", "mesh"}, {"cokie", "cookie"}, {"coookiee", "cookie"}, {"data_dir", "data-dir"}, {"datadir", "data-dir"},
		{"name", "name"}, {"jion", "join"}, {"bin", ""}, {"home", ""}, {"", ""}, {"something", ""},
	}
	for _, tt := range tests {
		if got, found := Word(tt.word, words); got != tt.want || found != (tt.want != "") {
			t.Errorf("%s: got %q, %v; want %q", tt.word, got, found, tt.want)
		}
	}
}
