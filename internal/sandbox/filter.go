package sandbox

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Rule is the answer to one system call.
type Rule struct {
	Call uint32
	// If are the conditions that must hold for the call to be allowed.
	If []Condition
	// Never refuses the call whatever its arguments.
	Never bool
	// Errno is what a refused call returns; 0 is EPERM.
	Errno unix.Errno
}

// Condition is about the lower half of an argument (all of it, for those that
// are an int to the kernel), or about the upper one.
type Condition struct {
	Arg    int
	Upper  bool
	Mask   uint32 // 0 is all bits
	Test   Test
	Values []uint32
}

// Test is what a masked argument is compared for.
type Test int

const (
	// In holds for one of the values.
	In Test = iota
	// NotIn holds for all but the values.
	NotIn
	// AtLeast holds from the one value on, unsigned.
	AtLeast
)

// Filter is what happens to every system call.
type Filter struct {
	Rules []Rule
	// Else allows the calls without a rule. Otherwise they are refused.
	Else bool
}

// The answers of a program, see seccomp(2).
const (
	retAllow = 0x7fff0000
	retErrno = 0x00050000
)

// The offsets in struct seccomp_data on little-endian machines.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16
)

// span is the calls from one number up to the next span, with one answer.
type span struct {
	from uint32
	code []unix.SockFilter
}

// compile makes a filter's program: a binary search for the number of the
// call. For calls without conditions the kernel runs it once and remembers the
// answer (since Linux 5.11).
func (f Filter) compile() ([]unix.SockFilter, error) {
	spans, err := f.spans()
	if err != nil {
		return nil, err
	}
	program := []unix.SockFilter{
		load(offsetArch),
		jump(unix.BPF_JEQ, machine, 1, 0),
		answer(unix.EPERM),
		load(offsetCall),
	}
	if program = append(program, search(spans)...); len(program) > unix.BPF_MAXINSNS {
		return nil, fmt.Errorf("the filter has %d instructions", len(program))
	}
	return program, nil
}

// spans returns the answers for all numbers in order.
func (f Filter) spans() ([]span, error) {
	rules := slices.SortedFunc(slices.Values(f.Rules), func(a, b Rule) int { return cmp.Compare(a.Call, b.Call) })
	otherwise := []unix.SockFilter{answer(unix.EPERM)}
	if f.Else {
		otherwise = []unix.SockFilter{answer(0)}
	}
	var list []span
	next := uint32(0)
	for i, r := range rules {
		if i > 0 && rules[i-1].Call == r.Call || r.Call >= newest {
			return nil, fmt.Errorf("system call %d: two rules, or no such call", r.Call)
		}
		if r.Call > next {
			list = append(list, span{next, otherwise})
		}
		list = append(list, span{r.Call, r.compile()})
		next = r.Call + 1
	}
	list = append(list, span{next, otherwise})
	if !f.Else {
		list = append(list, span{newest + 1, []unix.SockFilter{answer(unix.ENOSYS)}})
	}
	if foreign != 0 {
		list = append(list, span{foreign, []unix.SockFilter{answer(unix.EPERM)}})
	}
	// Neighbours with one answer are one span.
	return slices.CompactFunc(list, func(a, b span) bool { return slices.Equal(a.code, b.code) }), nil
}

// search finds the span of the loaded number.
func search(spans []span) []unix.SockFilter {
	if len(spans) == 1 {
		return spans[0].code
	}
	middle := len(spans) / 2
	lower, upper := search(spans[:middle]), search(spans[middle:])
	// The distance of a conditional jump is a byte.
	code := []unix.SockFilter{
		jump(unix.BPF_JGE, spans[middle].from, 0, 1),
		{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(lower))},
	}
	if len(lower) <= 0xff {
		code = []unix.SockFilter{jump(unix.BPF_JGE, spans[middle].from, uint8(len(lower)), 0)}
	}
	return slices.Concat(code, lower, upper)
}

func (r Rule) compile() []unix.SockFilter {
	refusal := answer(r.Errno)
	if r.Errno == 0 {
		refusal = answer(unix.EPERM)
	}
	if r.Never {
		return []unix.SockFilter{refusal}
	}
	var code []unix.SockFilter
	for _, c := range r.If {
		code = append(code, c.compile(refusal)...)
	}
	return append(code, answer(0))
}

// compile returns code that falls through if the condition holds.
func (c Condition) compile(refusal unix.SockFilter) []unix.SockFilter {
	offset := uint32(offsetArgs + 8*c.Arg)
	if c.Upper {
		offset += 4
	}
	code := []unix.SockFilter{load(offset)}
	if c.Mask != 0 {
		code = append(code, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: c.Mask})
	}
	test := uint16(unix.BPF_JEQ)
	if c.Test == AtLeast {
		test = unix.BPF_JGE
	}
	for i, v := range c.Values {
		// One that matches goes behind the others and the next instruction.
		code = append(code, jump(test, v, uint8(len(c.Values)-i), 0))
	}
	if c.Test == NotIn {
		code = append(code, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: 1})
	}
	return append(code, refusal)
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func jump(test uint16, value uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, Jt: yes, Jf: no, K: value}
}

// answer ends the program; no error is leave.
func answer(refuse unix.Errno) unix.SockFilter {
	if refuse == 0 {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: retAllow}
	}
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: retErrno | uint32(refuse)}
}
