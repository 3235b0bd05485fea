package imports

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// manuals are the pages of docs/man by their names, such as "sendmail.8".
func manuals(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root(t), "docs/man/*"))
	if err != nil {
		t.Fatal(err)
	}
	pages := make(map[string]string, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.Base(file)] = string(text)
	}
	return pages
}

// TestEveryProgramHasAManual, in section 1 or 8; pages of section 5 are about
// files.
func TestEveryProgramHasAManual(t *testing.T) {
	t.Parallel()
	pages := manuals(t)
	all := packages(t)
	for dir := range all {
		if name, program := strings.CutPrefix(dir, "cmd/"); program && pages[name+".1"] == "" && pages[name+".8"] == "" {
			t.Errorf("%s has no page in docs/man", name)
		}
	}
	for page := range pages {
		name, section, _ := strings.Cut(page, ".")
		if section != "5" && all["cmd/"+name] == nil {
			t.Errorf("%s is about no program", page)
		}
	}
}

// TestManualsAreClean: mandoc has nothing to say, and each cross reference to a
// page of ours leads to one.
func TestManualsAreClean(t *testing.T) {
	t.Parallel()
	pages := manuals(t)
	reference := regexp.MustCompile(`(?m)^\.Xr (\S+) (\d)`)
	for page, text := range pages {
		for _, x := range reference.FindAllStringSubmatch(text, -1) {
			name := x[1] + "." + x[2]
			if pages[name] == "" && !slices.Contains(foreignPages, name) {
				t.Errorf("%s refers to %s, which is no page of ours", page, name)
			}
		}
	}
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		t.Skip("mandoc is not installed; .ci/run does that")
	}
	lint := exec.Command(mandoc, append([]string{"-T", "lint", "-W", "warning", "-I", "os=Postrider"}, slices.Sorted(maps.Keys(pages))...)...)
	lint.Dir = filepath.Join(root(t), "docs/man")
	out, err := lint.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// controlRow is a setting in docs/control.md.
var controlRow = regexp.MustCompile("(?m)^\\| `([a-z0-9.]+)` \\| (?:line|number|list|map|cdb|text) ")

// TestManualHasTheSettings: each row of docs/control.md is in qmail-control(5).
func TestManualHasTheSettings(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root(t), "docs/control.md"))
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, m := range regexp.MustCompile(`(?m)^\.(?:It )?Pa (.*)$`).FindAllStringSubmatch(manuals(t)["qmail-control.5"], -1) {
		named = append(named, strings.Fields(m[1])...)
	}
	rows := controlRow.FindAllStringSubmatch(string(text), -1)
	for _, row := range rows {
		if !slices.Contains(named, row[1]) {
			t.Errorf("qmail-control(5) has no %s", row[1])
		}
	}
	if len(rows) < 100 {
		t.Errorf("%d rows were found", len(rows))
	}
}

// foreignPages are of other programs.
var foreignPages = []string{"crypt.3", "systemd.socket.5"}

// TestManualsHaveTheOptions compares each page with the source of its program:
// the letters that are given to getopt, and the constants of exit codes, as far
// as main leads to them inside of its room.
func TestManualsHaveTheOptions(t *testing.T) {
	t.Parallel()
	pages, all := manuals(t), packages(t)
	for dir, main := range all {
		name, program := strings.CutPrefix(dir, "cmd/")
		if !program {
			continue
		}
		page := pages[name+".1"] + pages[name+".8"]
		options, codes := facts(t, all, main)
		if want := documentedOptions(page); !slices.Equal(options, want) && !slices.Contains(otherOptions, name) {
			t.Errorf("%s: the source has the options %q, the page %q", name, options, want)
		}
		if want := documentedCodes(page); !slices.Equal(codes, want) && !slices.Contains(otherCodes, name) {
			t.Errorf("%s: the source has the exit codes %v, the page %v", name, codes, want)
		}
	}
}

// otherOptions are programs whose options are tested with them: they have a
// table of their own.
var otherOptions = []string{"sendmail"}

// otherCodes are programs whose exit codes are those of internal/enqueue, or
// that know the codes of others: of what they start, or speak for.
var otherCodes = []string{"qmail-queue", "qmail-filter", "qmail-showctl", "qmail-spool", "qmail-start",
	"sendmail", "qmail-inject", "mailsubj"} // these three share a room, whose test compares them

var (
	optionItem = regexp.MustCompile(`(?m)^\.It Fl (.*)$`)
	exitItem   = regexp.MustCompile(`(?m)^\.It (\d[\d ,]*)$`)
)

func documentedOptions(page string) []string {
	var all []string
	for _, m := range optionItem.FindAllStringSubmatch(page, -1) {
		for _, item := range strings.Split(m[1], ",") {
			letter, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(item), "Fl "), " ")
			if strings.HasPrefix(letter, "-") {
				continue // a long one, which getopt does not know
			}
			for _, l := range letter {
				all = append(all, string(l))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func documentedCodes(page string) []int {
	_, section, _ := strings.Cut(page, "\n.Sh EXIT STATUS\n")
	section, _, _ = strings.Cut(section, "\n.Sh ")
	var all []int
	for _, m := range exitItem.FindAllStringSubmatch(section, -1) {
		for _, item := range strings.Split(m[1], ",") {
			if n, err := strconv.Atoi(strings.TrimSpace(item)); err == nil && n != 0 {
				all = append(all, n)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// facts follows a program's main into its room, and from there into the main of
// internal/responder: the options and the exit codes but 0 of all functions and
// constants that are named on the way.
func facts(t *testing.T, all map[string]*pkg, main *pkg) (options []string, codes []int) {
	t.Helper()
	for imported := range main.imports {
		dir, ours := own(imported)
		if !ours || all[dir] == nil || strings.HasPrefix(dir, "internal/") {
			continue
		}
		reached := reach(declarations(all[dir]), main.uses(all[dir]))
		if responder := all["internal/responder"]; slices.ContainsFunc(reached, callsMain("responder")) {
			reached = append(reached, reach(declarations(responder), []string{"Main"})...)
		}
		for _, decl := range reached {
			options = append(options, optionsIn(decl)...)
			if n, isCode := exitCode(decl); isCode && n != 0 {
				codes = append(codes, n)
			}
		}
	}
	slices.Sort(options)
	slices.Sort(codes)
	return slices.Compact(options), slices.Compact(codes)
}

// callsMain tells declarations that name the Main of a package.
func callsMain(pkg string) func(ast.Node) bool {
	return func(decl ast.Node) (calls bool) {
		ast.Inspect(decl, func(n ast.Node) bool {
			if sel, is := n.(*ast.SelectorExpr); is && sel.Sel.Name == "Main" {
				x, isName := sel.X.(*ast.Ident)
				calls = calls || isName && x.Name == pkg
			}
			return !calls
		})
		return calls
	}
}

// declarations are the functions, methods and constants of a package by name.
func declarations(p *pkg) map[string][]ast.Node {
	found := make(map[string][]ast.Node)
	for _, file := range p.files {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				found[d.Name.Name] = append(found[d.Name.Name], d)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, isValue := spec.(*ast.ValueSpec); isValue {
						for _, name := range v.Names {
							found[name.Name] = append(found[name.Name], v)
						}
					}
				}
			}
		}
	}
	return found
}

// uses are the names that a program has of a room.
func (p *pkg) uses(room *pkg) []string {
	var all []string
	for _, file := range p.files {
		ast.Inspect(file, func(n ast.Node) bool {
			if x, is := n.(*ast.SelectorExpr); is {
				if id, isName := x.X.(*ast.Ident); isName && id.Name == room.name() {
					all = append(all, x.Sel.Name)
				}
			}
			return true
		})
	}
	return all
}

// name is that of the package.
func (p *pkg) name() string {
	for _, file := range p.files {
		return file.Name.Name
	}
	return ""
}

// reach returns the declarations that the names lead to.
func reach(declared map[string][]ast.Node, from []string) []ast.Node {
	var reached []ast.Node
	seen := make(map[string]bool)
	for len(from) > 0 {
		name := from[len(from)-1]
		from = from[:len(from)-1]
		if seen[name] {
			continue
		}
		seen[name] = true
		for _, d := range declared[name] {
			reached = append(reached, d)
			ast.Inspect(d, func(n ast.Node) bool {
				if id, isName := n.(*ast.Ident); isName {
					from = append(from, id.Name)
				}
				return true
			})
		}
	}
	return reached
}

// optionsIn returns the letters of calls of getopt.Parse.
func optionsIn(decl ast.Node) []string {
	var all []string
	ast.Inspect(decl, func(n ast.Node) bool {
		call, isCall := n.(*ast.CallExpr)
		if !isCall || len(call.Args) != 2 {
			return true
		}
		sel, isSelector := call.Fun.(*ast.SelectorExpr)
		if !isSelector || sel.Sel.Name != "Parse" {
			return true
		}
		if x, isName := sel.X.(*ast.Ident); !isName || x.Name != "getopt" {
			return true
		}
		if lit, isLiteral := call.Args[1].(*ast.BasicLit); isLiteral && lit.Kind == token.STRING {
			letters, _ := strconv.Unquote(lit.Value)
			for _, l := range strings.ReplaceAll(letters, ":", "") {
				all = append(all, string(l))
			}
		}
		return true
	})
	return all
}

// exitCode is the value of a constant like exitUsage.
func exitCode(decl ast.Node) (int, bool) {
	v, isValue := decl.(*ast.ValueSpec)
	if !isValue || len(v.Names) != 1 || len(v.Values) != 1 || !strings.HasPrefix(strings.ToLower(v.Names[0].Name), "exit") {
		return 0, false
	}
	lit, isLiteral := v.Values[0].(*ast.BasicLit)
	if !isLiteral || lit.Kind != token.INT {
		return 0, false
	}
	n, err := strconv.Atoi(lit.Value)
	return n, err == nil
}
