package layers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestPackageComments: exactly one file of each package says what the package is for, in a sentence that begins as
// godoc expects.
func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		var found []string
		for _, name := range p.GoFiles {
			f := parse(t, filepath.Join(p.Dir, name), parser.PackageClauseOnly)
			if f.Doc == nil {
				continue
			}
			found = append(found, name)
			want := "Package " + p.Name + " "
			if p.Name == "main" {
				want = "Command " + filepath.Base(p.Dir) + " "
			}
			if !strings.HasPrefix(f.Doc.Text(), want) {
				t.Errorf("%s: the comment of %s does not begin with %q", p.path(), name, want)
			}
		}
		if len(found) != 1 {
			t.Errorf("%s has %d package comments: %s", p.path(), len(found), strings.Join(found, ", "))
		}
	}
}

// TestDocComments: every exported name that users see has a comment that begins with the name.
func TestDocComments(t *testing.T) {
	for _, p := range packages(t) {
		if p.Name == "main" {
			continue
		}
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			for _, decl := range parse(t, path, parser.ParseComments).Decls {
				for _, bare := range undocumented(decl) {
					t.Errorf("%s: %s has no comment, or one that does not begin with its name", filepath.Join(p.path(), name), bare)
				}
			}
		}
	}
}

// undocumented lists the exported names of a declaration that lack a comment.
func undocumented(decl ast.Decl) (bare []string) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && exportedReceiver(d) && !begins(d.Doc, d.Name.Name) {
			bare = append(bare, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && !begins(s.Doc, s.Name.Name) && !begins(d.Doc, s.Name.Name) {
					bare = append(bare, s.Name.Name)
				}
			case *ast.ValueSpec:
				// A comment on the block, or on the line, speaks for the names in it.
				if d.Doc == nil && s.Doc == nil && s.Comment == nil {
					for _, n := range s.Names {
						if n.IsExported() {
							bare = append(bare, n.Name)
						}
					}
				}
			}
		}
	}
	return bare
}

// exportedReceiver says whether users can reach the function: it has no receiver, or one of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	switch g := typ.(type) {
	case *ast.IndexExpr:
		typ = g.X
	case *ast.IndexListExpr:
		typ = g.X
	}
	name, ok := typ.(*ast.Ident)
	return ok && name.IsExported()
}

func begins(doc *ast.CommentGroup, name string) bool {
	if doc == nil {
		return false
	}
	text := doc.Text()
	for _, article := range []string{"", "A ", "An ", "The "} {
		if rest, ok := strings.CutPrefix(text, article+name); ok && (rest == "" || strings.ContainsAny(rest[:1], " ,.:;'\n")) {
			return true
		}
	}
	return false
}

// TestSubtestNames: a name with a space or a pattern's character in it cannot be given to go test -run.
func TestSubtestNames(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range append(append([]string(nil), p.TestGoFiles...), p.XTestGoFiles...) {
			path := filepath.Join(p.Dir, name)
			ast.Inspect(parse(t, path, 0), func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 2 {
					return true
				}
				run, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || run.Sel.Name != "Run" {
					return true
				}
				lit, ok := call.Args[0].(*ast.BasicLit)
				if ok && lit.Kind == token.STRING && strings.ContainsAny(strings.Trim(lit.Value, "\"`"), " ()[]*+?|^$\\") {
					t.Errorf("%s: the name %s of a sub-test cannot be given to -run", filepath.Join(p.path(), name), lit.Value)
				}
				return true
			})
		}
	}
}

func parse(t *testing.T, path string, mode parser.Mode) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, mode|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
