package imports

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// readers are the methods of control.Dir, with the argument that is the name.
var readers = []string{"Line", "LineOrMe", "Int", "List", "Map", "Text"}

// notControl are files that are read in the same way and are somebody's own.
var notControl = map[string]string{
	"internal/migrate/ours/judge.go":   "a directory that is not in use yet",
	"internal/migrate/ours/relay.go":   "a directory that is not in use yet",
	"internal/migrate/layout/check.go": "a directory that is not in use yet",
	"qmail-queue/inject/followup.go":   "the file that QMAILMFTFILE names",
}

// elsewhere are control files that are no control.Dir's to read.
var elsewhere = map[string]string{"morercpthosts.cdb": "internal/rcpthosts", "tcp.smtp.cdb": "internal/tcprules"}

var (
	controlName = regexp.MustCompile(`^[a-z][a-z0-9.]*$`)
	tableRow    = regexp.MustCompile("(?m)^\\| `([a-z0-9.]+)` \\| (line|number|list|map|rules|cdb|pem|text) \\| [^|]* \\| ([^|]+) \\| [^|]+ \\|$")
)

// TestControlFilesAreDocumented holds docs/control.md to the source.
func TestControlFilesAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root(t), "docs/control.md"))
	if err != nil {
		t.Fatal(err)
	}
	read := controlFilesRead(t) // name to the packages that read it
	linked := linkedByAll(t)
	documented := make(map[string]bool)
	for _, row := range tableRow.FindAllStringSubmatch(string(text), -1) {
		name, programs := row[1], strings.Split(row[3], ", ")
		documented[name] = true
		if len(read[name]) == 0 {
			t.Errorf("docs/control.md has %s, which no program reads", name)
			continue
		}
		for _, program := range programs {
			if !slices.ContainsFunc(linked[program], func(p string) bool { dir, _ := own(p); return read[name][dir] }) {
				t.Errorf("docs/control.md says that %s reads %s, but only %v does", program, name, slices.Collect(maps.Keys(read[name])))
			}
		}
		for dir := range read[name] {
			if !slices.ContainsFunc(programs, func(program string) bool { return slices.Contains(linked[program], module+"/"+dir) }) {
				t.Errorf("%s reads %s, but docs/control.md names no program with it", dir, name)
			}
		}
	}
	for name, dirs := range read {
		if !documented[name] {
			t.Errorf("%v reads %s, which docs/control.md does not have", slices.Collect(maps.Keys(dirs)), name)
		}
	}
}

// controlFilesRead finds the names in the source of all packages.
func controlFilesRead(t *testing.T) map[string]map[string]bool {
	t.Helper()
	found := make(map[string]map[string]bool)
	note := func(name, dir string) {
		if found[name] == nil {
			found[name] = make(map[string]bool)
		}
		found[name][dir] = true
	}
	for name, dir := range elsewhere {
		note(name, dir)
	}
	for dir, p := range packages(t) {
		if !p.imports[module+"/internal/control"] || dir == "internal/control" {
			continue
		}
		for name := range p.namesRead(t) {
			note(name, dir)
		}
	}
	return found
}

// wrapper is a function that passes one of its parameters on as the name of a
// control file. Its callers are in the same file.
type wrapper struct {
	file     string
	function string
	argument int
}

// namesRead returns the names that a package reads: those given to control.Dir
// and those given to functions that pass them on.
func (p *pkg) namesRead(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	done := make(map[wrapper]bool)
	var todo []wrapper
	scan := func(only string, isCall func(*ast.CallExpr) int) {
		for name, file := range p.files {
			where := p.dir + "/" + name
			if notControl[where] != "" || only != "" && only != where {
				continue
			}
			for _, decl := range file.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok {
					continue
				}
				ast.Inspect(f, func(n ast.Node) bool {
					call, ok := n.(*ast.CallExpr)
					if !ok {
						return true
					}
					if i := isCall(call); i >= 0 && i < len(call.Args) {
						todo = append(todo, p.nameOf(t, where, f, call.Args[i], names)...)
					}
					return true
				})
			}
		}
	}
	scan("", func(call *ast.CallExpr) int {
		s, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains(readers, s.Sel.Name) || !isDir(s.X) {
			return -1
		}
		if s.Sel.Name == "LineOrMe" {
			names["me"] = true
		}
		return 0
	})
	for len(todo) > 0 {
		w := todo[0]
		todo = todo[1:]
		if done[w] {
			continue
		}
		done[w] = true
		scan(w.file, func(call *ast.CallExpr) int {
			if calls(call, w.function) {
				return w.argument
			}
			return -1
		})
	}
	return names
}

// isDir reports whether an expression is a control directory, by its name.
func isDir(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "dir" || x.Name == "control"
	case *ast.SelectorExpr:
		return x.Sel.Name == "dir" || x.Sel.Name == "control"
	case *ast.CallExpr:
		s, ok := x.Fun.(*ast.SelectorExpr)
		return ok && s.Sel.Name == "Dir"
	}
	return false
}

func calls(call *ast.CallExpr, function string) bool {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name == function
	case *ast.SelectorExpr:
		return f.Sel.Name == function
	}
	return false
}

// nameOf notes the name that an argument is, or returns the function whose
// callers give it.
func (p *pkg) nameOf(t *testing.T, where string, f *ast.FuncDecl, arg ast.Expr, names map[string]bool) []wrapper {
	t.Helper()
	switch arg := arg.(type) {
	case *ast.BasicLit:
		if name, err := strconv.Unquote(arg.Value); err == nil && arg.Kind == token.STRING {
			names[name] = true
		}
		return nil
	case *ast.Ident:
		if i := parameter(f, arg.Name); i >= 0 {
			return []wrapper{{where, f.Name.Name, i}}
		}
	case *ast.SelectorExpr:
		// A field of a table that stands in the same function.
		if tableNames(f, names) {
			return nil
		}
	}
	t.Errorf("%s: %s reads a control file whose name this test cannot tell", where, f.Name.Name)
	return nil
}

// parameter returns the place of a parameter, or -1.
func parameter(f *ast.FuncDecl, name string) int {
	place := 0
	for _, field := range f.Type.Params.List {
		for _, n := range field.Names {
			if n.Name == name {
				return place
			}
			place++
		}
	}
	return -1
}

// tableNames notes what could be a name in the composite literals of f.
func tableNames(f *ast.FuncDecl, names map[string]bool) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		for _, e := range table.Elts {
			lit, ok := e.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				continue
			}
			if name, err := strconv.Unquote(lit.Value); err == nil && controlName.MatchString(name) {
				names[name], found = true, true
			}
		}
		return true
	})
	return found
}
