package imports

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "postrider"

// pkg is a folder with Go files.
type pkg struct {
	dir     string // below the module's root, "internal/fate"
	fset    *token.FileSet
	files   map[string]*ast.File // those that are built into programs
	imports map[string]bool
	// testImports are those of the test files.
	testImports map[string]bool
}

// root returns the module's directory.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("there is no go.mod above this test")
		}
		dir = filepath.Dir(dir)
	}
}

// packages reads all Go files of the module.
func packages(t *testing.T) map[string]*pkg {
	t.Helper()
	top := root(t)
	found := make(map[string]*pkg)
	fset := token.NewFileSet()
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(top, filepath.Dir(name))
		if err != nil {
			return err
		}
		if d.IsDir() {
			below, _ := filepath.Rel(top, name)
			if below == "run" || below == "build" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && below != "." {
				return filepath.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			return err
		}
		if found[dir] == nil {
			found[dir] = &pkg{dir, fset, map[string]*ast.File{}, map[string]bool{}, map[string]bool{}}
		}
		found[dir].add(filepath.Base(name), file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (p *pkg) add(name string, file *ast.File) {
	into := p.imports
	if strings.HasSuffix(name, "_test.go") {
		into = p.testImports
	} else {
		p.files[name] = file
	}
	for _, i := range file.Imports {
		if imported, err := strconv.Unquote(i.Path.Value); err == nil {
			into[imported] = true
		}
	}
}

// own returns the folder of one of our packages.
func own(imported string) (dir string, ours bool) { return strings.CutPrefix(imported, module+"/") }

// standard reports whether a package is Go's.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") && first != module
}
