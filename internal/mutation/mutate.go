package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
)

// mutant is one change of one place. All mutants of a package are in one
// program; the environment says which of them is on.
type mutant struct {
	id         int
	file       string // its name in the package
	line       int
	text       string // what is changed into what
	arithmetic bool
}

// mutator rewrites the files of a package. It only inserts, in front of and
// behind what is there, so that lines keep their numbers.
type mutator struct {
	mutants []mutant
	// dropped are lines, "file:line", whose mutants do not compile: those of
	// arithmetic, or all.
	dropped map[string]drop

	fset   *token.FileSet
	file   string
	src    []byte
	before map[int]string // by offset
	behind map[int]string
	comma  map[int]int // operators that become one, with their length
}

type drop int

const (
	dropArithmetic drop = 1 + iota
	dropAll
)

// rewrite returns the file with all mutants in it.
func (m *mutator) rewrite(name string, src []byte) ([]byte, error) {
	m.fset = token.NewFileSet()
	parsed, err := parser.ParseFile(m.fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	m.file, m.src = name, src
	m.before, m.behind, m.comma = map[int]string{}, map[int]string{}, map[int]int{}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			ast.Inspect(f.Body, m.visit)
		}
	}
	return m.assemble(), nil
}

// assemble puts the insertions in.
func (m *mutator) assemble() (out []byte) {
	at := 0
	offsets := map[int]bool{}
	for _, set := range []map[int]string{m.before, m.behind} {
		for offset := range set {
			offsets[offset] = true
		}
	}
	for offset := range m.comma {
		offsets[offset] = true
	}
	for _, offset := range slices.Sorted(maps.Keys(offsets)) {
		out = append(out, m.src[at:offset]...)
		out = append(append(out, m.behind[offset]...), m.before[offset]...)
		at = offset
		if length := m.comma[offset]; length > 0 {
			out = append(out, ',')
			at += length
		}
	}
	return append(out, m.src[at:]...)
}

// visit is called for outer nodes first.
func (m *mutator) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		return n.Tok != token.CONST
	case *ast.ArrayType:
		return false
	case *ast.BlockStmt:
		m.statements(n.List)
	case *ast.CaseClause:
		m.statements(n.Body)
	case *ast.CommClause:
		m.statements(n.Body)
	case *ast.IfStmt:
		m.condition(n.Cond, true)
	case *ast.ForStmt:
		if n.Cond != nil {
			m.condition(n.Cond, false) // for ever is found, but late
		}
	case *ast.SwitchStmt:
		if n.Tag == nil {
			for _, clause := range n.Body.List {
				for _, e := range clause.(*ast.CaseClause).List {
					m.condition(e, true)
				}
			}
		}
	case *ast.BinaryExpr:
		m.binary(n)
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			if id := m.add(n, "!"+m.source(n.X), m.source(n.X)); id > 0 {
				m.wrap(n, fmt.Sprintf("(mutantIs_(%d) != (", id), "))")
			}
		}
	}
	return true
}

// statements has each of them left out.
func (m *mutator) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				continue
			}
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.BranchStmt, *ast.SendStmt:
		default:
			continue
		}
		if id := m.add(s, m.source(s), "nothing"); id > 0 {
			m.wrap(s, fmt.Sprintf("if !mutantIs_(%d) { ", id), " }")
		}
	}
}

// condition has e be false, and true.
func (m *mutator) condition(e ast.Expr, both bool) {
	if id := m.add(e, m.source(e), "false"); id > 0 {
		m.wrap(e, fmt.Sprintf("(!mutantIs_(%d) && (", id), "))")
	}
	if !both {
		return
	}
	if id := m.add(e, m.source(e), "true"); id > 0 {
		m.wrap(e, fmt.Sprintf("(mutantIs_(%d) || (", id), "))")
	}
}

var (
	otherCondition = map[token.Token][]string{
		token.LAND: {"||"}, token.LOR: {"&&"},
		token.LSS: {"<=", ">="}, token.LEQ: {"<", ">"}, token.GTR: {">=", "<="}, token.GEQ: {">", "<"},
		token.EQL: {"!="}, token.NEQ: {"=="},
	}
	otherArithmetic = map[token.Token]struct{ function, operator string }{
		token.ADD: {"mutantAdd_", "-"}, token.SUB: {"mutantSub_", "+"}, token.MUL: {"mutantMul_", "/"}, token.QUO: {"mutantQuo_", "*"},
		token.REM: {"mutantRem_", "*"}, token.AND: {"mutantAnd_", "|"}, token.OR: {"mutantOr_", "&"}, token.XOR: {"mutantXor_", "&"},
		token.AND_NOT: {"mutantAndNot_", "&"}, token.SHL: {"mutantShl_", ">>"}, token.SHR: {"mutantShr_", "<<"},
	}
)

func (m *mutator) binary(n *ast.BinaryExpr) {
	for _, operator := range otherCondition[n.Op] {
		m.otherCondition(n, operator)
	}
	other, ok := otherArithmetic[n.Op]
	if !ok {
		return
	}
	if id := m.addKind(n, m.source(n), m.with(n, other.operator), true); id > 0 {
		m.wrap(n, fmt.Sprintf("%s(%d, ", other.function, id), ")")
		m.comma[m.offset(n.OpPos)] = len(n.Op.String())
	}
}

// otherCondition has another operator in a condition. The changed text is a copy
// of the original one.
func (m *mutator) otherCondition(n *ast.BinaryExpr, operator string) {
	text := m.with(n, operator)
	if strings.Contains(m.raw(n), "//") || hasFunction(n) {
		return
	}
	if id := m.add(n, m.source(n), text); id > 0 {
		m.wrap(n, fmt.Sprintf("(mutantIs_(%d) && (%s) || !mutantIs_(%d) && (", id, text, id), "))")
	}
}

func hasFunction(n ast.Node) (has bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		_, is := n.(*ast.FuncLit)
		has = has || is
		return !has
	})
	return has
}

func (m *mutator) add(n ast.Node, from, to string) int { return m.addKind(n, from, to, false) }

// addKind notes a mutant and returns its number, or 0 if it would not compile.
func (m *mutator) addKind(n ast.Node, from, to string, arithmetic bool) int {
	line := m.fset.Position(n.Pos()).Line
	if d := m.dropped[fmt.Sprintf("%s:%d", m.file, line)]; d == dropAll || d == dropArithmetic && arithmetic {
		return 0
	}
	id := len(m.mutants) + 1
	m.mutants = append(m.mutants, mutant{id, m.file, line, from + " -> " + to, arithmetic})
	return id
}

func (m *mutator) wrap(n ast.Node, before, behind string) {
	from, to := m.offset(n.Pos()), m.offset(n.End())
	m.before[from] += before
	m.behind[to] = behind + m.behind[to]
}

func (m *mutator) offset(p token.Pos) int { return m.fset.Position(p).Offset }

func (m *mutator) raw(n ast.Node) string { return string(m.src[m.offset(n.Pos()):m.offset(n.End())]) }

// source is the text of a node on one line.
func (m *mutator) source(n ast.Node) string { return strings.Join(strings.Fields(m.raw(n)), " ") }

// with is the text of n with another operator.
func (m *mutator) with(n *ast.BinaryExpr, operator string) string {
	at := m.offset(n.OpPos) - m.offset(n.Pos())
	raw := m.raw(n)
	return strings.ReplaceAll(raw[:at]+operator+raw[at+len(n.Op.String()):], "\n", " ")
}

// supportFor is what the mutants call. Which of them somebody reached is written
// down in a file, where there is one.
func supportFor(pkg string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `package %s

import (
	"os"
	"strconv"
	"syscall"
)

var (
	mutant_, _     = strconv.Atoi(os.Getenv(%q))
	mutantReached_ = mapReached_(os.Getenv(%q))
)

func mapReached_(path string) []byte {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil
	}
	return b
}

func mutantIs_(id int) bool {
	if mutantReached_ != nil {
		mutantReached_[id] = 1
	}
	return mutant_ == id
}

type mutantInteger_ interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

type mutantNumber_ interface {
	mutantInteger_ | ~float32 | ~float64
}
`, pkg, variable, reachedVariable)
	for _, op := range slices.Sorted(maps.Keys(otherArithmetic)) {
		other := otherArithmetic[op]
		parameters := "T mutantInteger_](id int, a, b T"
		switch op {
		case token.SHL, token.SHR:
			parameters = "T, U mutantInteger_](id int, a T, b U"
		case token.ADD, token.SUB, token.MUL, token.QUO:
			parameters = "T mutantNumber_](id int, a, b T"
		}
		fmt.Fprintf(&b, "\nfunc %s[%s) T {\n\tif mutantIs_(id) {\n\t\treturn a %s b\n\t}\n\treturn a %s b\n}\n",
			other.function, parameters, other.operator, op)
	}
	return b.String()
}
