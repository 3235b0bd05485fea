package imports

import (
	"flag"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postrider/internal/settings"
)

// readers are the methods of control.Dir whose first argument is the name, with
// the kinds of files that they read.
var readers = map[string][]settings.Kind{
	"Line":     {settings.OneLine},
	"LineOrMe": {settings.OneLine},
	"Int":      {settings.Number},
	"List":     {settings.List, settings.Map},
	"Lines":    {settings.List, settings.Map},
	"Each":     {settings.List, settings.Map},
	"Map":      {settings.Map},
	"Text":     {settings.Rules, settings.Certificates, settings.Text},
}

// notControl are files that are read in the same way and are somebody's own.
var notControl = map[string]string{
	"internal/migrate/ours/judge.go":   "a directory that is not in use yet",
	"internal/migrate/ours/relay.go":   "a directory that is not in use yet",
	"internal/migrate/layout/check.go": "a directory that is not in use yet",
	"qmail-queue/inject/followup.go":   "the file that QMAILMFTFILE names",
}

// readsAll has no settings of its own: it shows those of the others.
const readsAll = "qmail-send/showctl"

// elsewhere are control files that are no control.Dir's to read.
var elsewhere = map[string]string{"morercpthosts.cdb": "internal/rcpthosts", "tcp.smtp.cdb": "internal/tcprules"}

// looks are readers that only want to know whether there is something in a file.
var looks = map[string]string{
	"qmail-send/start concurrencyfilter": "whether there is a use for qmail-filter",
	"qmail-send/start tcp.smtp.cdb":      "whether there is a use for qmail-filter",
}

// computed are defaults that are no constants where the file is read.
var computed = map[string]string{
	"checkpassuser":  "the user of the row in internal/priv",
	"bouncelifetime": "queuelifetime", "bulklifetime": "queuelifetime",
	"queueminfree": "the smaller of two", "queueminfiles": "the smaller of two",
}

var (
	controlName = regexp.MustCompile(`^[a-z][a-z0-9.]*$`)
	tableRow    = regexp.MustCompile("(?m)^\\| `[a-z0-9.]+` \\| (?:line|number|list|map|rules|cdb|pem|text) \\| .*$")
)

// TestSettingsAreRead holds the table of settings to the source: each is read by
// the programs that it names and by no others, in the way of its kind, with its
// default.
func TestSettingsAreRead(t *testing.T) {
	t.Parallel()
	read := controlFilesRead(t)
	linked := linkedByAll(t)
	for _, s := range settings.All() {
		if len(read[s.Name]) == 0 {
			t.Errorf("the table has %s, which no program reads", s.Name)
			continue
		}
		in := make(map[string]bool)
		for _, r := range read[s.Name] {
			in[r.dir] = true
			r.compare(t, s)
		}
		for _, program := range s.Readers() {
			if !slices.ContainsFunc(linked[program], func(p string) bool { dir, _ := own(p); return in[dir] }) {
				t.Errorf("the table says that %s reads %s, but only %v does", program, s.Name, slices.Collect(maps.Keys(in)))
			}
		}
		for dir := range in {
			if !slices.ContainsFunc(s.Readers(), func(program string) bool { return slices.Contains(linked[program], module+"/"+dir) }) {
				t.Errorf("%s reads %s, but the table names no program with it", dir, s.Name)
			}
		}
	}
	for name, all := range read {
		if _, known := settings.Named(name); !known {
			t.Errorf("%s reads %s, which is not in internal/settings", all[0].dir, name)
		}
	}
}

// reading is a place where a control file is read.
type reading struct {
	dir, method string
	// def is the default that is given, if it is a constant.
	def constant.Value
}

// compare holds a reading to the table.
func (r reading) compare(t *testing.T, s settings.Setting) {
	t.Helper()
	if r.method == "" || looks[r.dir+" "+s.Name] != "" {
		return
	}
	if !slices.Contains(readers[r.method], s.Kind) {
		t.Errorf("%s reads %s by %s, and the table says that it is a %s", r.dir, s.Name, r.method, s.Kind)
	}
	switch {
	case computed[s.Name] != "":
	case r.method == "LineOrMe" && s.Default != settings.Me:
		t.Errorf("%s reads %s or me, and the table has the default %s", r.dir, s.Name, s.Default)
	case r.method == "Line" || r.method == "Int":
		want := s.Default
		if want == settings.NoDefault {
			want = ""
		}
		if r.def == nil {
			t.Errorf("%s reads %s with a default that this test cannot tell", r.dir, s.Name)
		} else if got := strings.Trim(r.def.ExactString(), `"`); got != want {
			t.Errorf("%s reads %s with the default %s, and the table has %s", r.dir, s.Name, got, s.Default)
		}
	}
}

// TestControlPageIsTheTable: docs/control.md has the rows of internal/settings, by
// name, and no others. With -write the page is changed.
func TestControlPageIsTheTable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(root(t), "docs/control.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want, changes []string
	for _, s := range settings.All() {
		want = append(want, s.Row())
	}
	slices.Sort(want)
	for _, c := range settings.Changes() {
		changes = append(changes, "| "+c.Of+" | "+c.When+" |")
	}
	page := replaceRows(string(text), "| file | kind |", want)
	page = replaceRows(page, "| program | when |", changes)
	if *write {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	has := strings.Split(string(text), "\n")
	for _, row := range append(want, changes...) {
		if !slices.Contains(has, row) {
			t.Errorf("docs/control.md lacks the row: %s", row)
		}
	}
	if page != string(text) {
		t.Error("docs/control.md is not what internal/settings says; go test ./internal/imports -run ControlPage -write changes it")
	}
	if len(tableRow.FindAllString(page, -1)) < 100 {
		t.Error("docs/control.md has too few rows")
	}
}

var write = flag.Bool("write", false, "write docs/control.md in place of comparing it")

// replaceRows puts other rows into the table whose first line begins so.
func replaceRows(page, first string, rows []string) string {
	before, table, found := strings.Cut(page, first)
	head, rest, more := strings.Cut(table, "|---|\n")
	if !found || !more {
		return ""
	}
	for strings.HasPrefix(rest, "| ") {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	return before + first + head + "|---|\n" + strings.Join(rows, "\n") + "\n" + rest
}

// TestChangesAreOfSettings: of each program that reads a setting it is said when a
// change counts.
func TestChangesAreOfSettings(t *testing.T) {
	t.Parallel()
	var told []string
	for _, c := range settings.Changes() {
		for _, of := range strings.Split(c.Of, ", ") {
			told = append(told, strings.Trim(of, "`"))
		}
	}
	for _, s := range settings.All() {
		for _, program := range s.Readers() {
			if !slices.Contains(told, program) && !slices.Contains(told, s.Name) {
				t.Errorf("nothing says when a change of %s counts for %s", s.Name, program)
			}
		}
	}
}

// controlFilesRead finds where each file is read in the source of all packages.
func controlFilesRead(t *testing.T) map[string][]reading {
	t.Helper()
	found := make(map[string][]reading)
	for name, dir := range elsewhere {
		found[name] = append(found[name], reading{dir: dir})
	}
	for dir, p := range packages(t) {
		if !p.imports[module+"/internal/control"] || dir == "internal/control" || dir == readsAll {
			continue
		}
		s := scan{t: t, pkg: p, found: found, values: p.constants()}
		s.run()
	}
	return found
}

// constants returns the values of all constant expressions of a package that do
// not depend on others.
func (p *pkg) constants() map[ast.Expr]types.TypeAndValue {
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
	config := types.Config{Error: func(error) {}, FakeImportC: true}
	_, _ = config.Check(p.dir, p.fset, slices.Collect(maps.Values(p.files)), info) // imports are missing
	return info.Types
}

// wrapper is a function that passes one of its parameters on as the name of a
// control file, and perhaps another one as its default. Its callers are in the
// same file.
type wrapper struct {
	file     string
	function string
	method   string
	argument int
	def      int      // -1: none
	given    ast.Expr // the default, if the function has it itself
}

// scan looks for readings in a package.
type scan struct {
	t      *testing.T
	pkg    *pkg
	found  map[string][]reading
	values map[ast.Expr]types.TypeAndValue
	todo   []wrapper
}

func (s *scan) run() {
	s.calls("", func(call *ast.CallExpr) (wrapper, bool) {
		x, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || readers[x.Sel.Name] == nil || !isDir(x.X) {
			return wrapper{}, false
		}
		w := wrapper{method: x.Sel.Name, argument: 0, def: -1}
		switch w.method {
		case "LineOrMe":
			s.note("me", reading{dir: s.pkg.dir})
		case "Line", "Int":
			w.def = 1
		}
		return w, true
	})
	done := make(map[wrapper]bool)
	for len(s.todo) > 0 {
		w := s.todo[0]
		s.todo = s.todo[1:]
		if done[w] {
			continue
		}
		done[w] = true
		s.calls(w.file, func(call *ast.CallExpr) (wrapper, bool) { return w, calls(call, w.function) })
	}
}

// calls looks at all calls in a file, or in all, that is tells to read.
func (s *scan) calls(only string, is func(*ast.CallExpr) (wrapper, bool)) {
	for name, file := range s.pkg.files {
		where := s.pkg.dir + "/" + name
		if notControl[where] != "" || only != "" && only != where {
			continue
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if w, reads := is(call); reads && w.argument < len(call.Args) {
						s.call(where, f, call, w)
					}
				}
				return true
			})
		}
	}
}

func (s *scan) note(name string, r reading) { s.found[name] = append(s.found[name], r) }

// call notes what a call reads, or the function whose callers say it.
func (s *scan) call(where string, f *ast.FuncDecl, call *ast.CallExpr, w wrapper) {
	def := w.given
	if w.def >= 0 && w.def < len(call.Args) {
		def = call.Args[w.def]
	}
	r := reading{dir: s.pkg.dir, method: w.method}
	if def != nil {
		r.def = s.values[def].Value
	}
	switch arg := call.Args[w.argument].(type) {
	case *ast.BasicLit:
		if name, err := strconv.Unquote(arg.Value); err == nil && arg.Kind == token.STRING {
			s.note(name, r)
		}
		return
	case *ast.Ident:
		if i := parameter(f, arg.Name); i >= 0 {
			outer := wrapper{file: where, function: f.Name.Name, method: w.method, argument: i, def: -1, given: def}
			if id, isName := def.(*ast.Ident); isName {
				outer.def = parameter(f, id.Name)
			}
			s.todo = append(s.todo, outer)
			return
		}
	case *ast.SelectorExpr:
		// A field of a table, in the same function or by its name.
		if names := append(tableNames(f), s.pkg.fieldValues(arg.Sel.Name)...); len(names) > 0 {
			for _, name := range names {
				s.note(name, r)
			}
			return
		}
	}
	s.t.Errorf("%s: %s reads a control file whose name this test cannot tell", where, f.Name.Name)
}

// fieldValues returns what a field of literals in the package is.
func (p *pkg) fieldValues(field string) (names []string) {
	for _, file := range p.files {
		ast.Inspect(file, func(n ast.Node) bool {
			if pair, ok := n.(*ast.KeyValueExpr); ok {
				key, isName := pair.Key.(*ast.Ident)
				lit, isText := pair.Value.(*ast.BasicLit)
				if isName && isText && key.Name == field {
					if name, err := strconv.Unquote(lit.Value); err == nil {
						names = append(names, name)
					}
				}
			}
			return true
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

// tableNames returns what could be a name in the composite literals of f.
func tableNames(f *ast.FuncDecl) (names []string) {
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
				names = append(names, name)
			}
		}
		return true
	})
	return names
}
