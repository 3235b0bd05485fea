//go:build amd64 || arm64

package sandbox

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// data is a system call as the kernel shows it to a filter.
type data struct {
	call, arch uint32
	args       [6]uint64
}

// run is the kernel's machine, as far as our programs use it.
func run(t *testing.T, program []unix.SockFilter, d data) uint32 {
	t.Helper()
	memory := binary.LittleEndian.AppendUint32(nil, d.call)
	memory = binary.LittleEndian.AppendUint32(memory, d.arch)
	memory = binary.LittleEndian.AppendUint64(memory, 0x1234) // where it was called
	for _, a := range d.args {
		memory = binary.LittleEndian.AppendUint64(memory, a)
	}
	var a uint32
	for pc := 0; pc < len(program); pc++ {
		in := program[pc]
		yes := false
		switch in.Code {
		case unix.BPF_RET | unix.BPF_K:
			return in.K
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = binary.LittleEndian.Uint32(memory[in.K:])
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= in.K
			continue
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.K)
			continue
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			yes = a == in.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			yes = a >= in.K
		default:
			t.Fatalf("instruction %d: %+v", pc, in)
		}
		if yes {
			pc += int(in.Jt)
		} else {
			pc += int(in.Jf)
		}
	}
	t.Fatal("the program runs over its end")
	return 0
}

// meaning is the answer of a filter by its definition.
func (f Filter) meaning(d data) uint32 {
	refuse := func(e unix.Errno) uint32 { return 0x00050000 | uint32(e) }
	if d.arch != machine {
		return refuse(unix.EPERM)
	}
	i := slices.IndexFunc(f.Rules, func(r Rule) bool { return r.Call == d.call })
	switch {
	case i < 0 && foreign != 0 && d.call >= foreign:
		return refuse(unix.EPERM)
	case i < 0 && f.Else:
		return 0x7fff0000
	case i < 0 && d.call > newest:
		return refuse(unix.ENOSYS)
	case i < 0:
		return refuse(unix.EPERM)
	}
	r := f.Rules[i]
	errno := max(r.Errno, unix.EPERM)
	if r.Never {
		return refuse(errno)
	}
	for _, c := range r.If {
		v := uint32(d.args[c.Arg])
		if c.Upper {
			v = uint32(d.args[c.Arg] >> 32)
		}
		if c.Mask != 0 {
			v &= c.Mask
		}
		holds := slices.Contains(c.Values, v)
		switch c.Test {
		case NotIn:
			holds = !holds
		case AtLeast:
			holds = v >= c.Values[0]
		}
		if !holds {
			return refuse(errno)
		}
	}
	return 0x7fff0000
}

// TestProgramMeansItsRules compares programs with the rules they were made
// from, for all calls and for arguments around the values of the rules.
func TestProgramMeansItsRules(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	filters := []Filter{{}, {Else: true}}
	for range 50 {
		filters = append(filters, randomFilter(random))
	}
	compared := 0
	for n, f := range filters {
		program, err := f.compile()
		if err != nil {
			t.Fatal(err)
		}
		calls := []uint32{newest, newest + 1, 0x3fffffff, 0x40000000, 0x40000001, 0xffffffff}
		for call := range uint32(600) {
			calls = append(calls, call)
		}
		for _, call := range calls {
			for _, arch := range []uint32{machine, unix.AUDIT_ARCH_I386} {
				d := data{call: call, arch: arch}
				for range 8 {
					for i := range d.args {
						d.args[i] = uint64(random.Uint32N(8))<<32*uint64(random.IntN(2)) | uint64(random.Uint32N(8))
					}
					compared++
					if got, want := run(t, program, d), f.meaning(d); got != want {
						t.Fatalf("filter %d, %+v: got %#x, want %#x", n, d, got, want)
					}
				}
			}
		}
	}
	t.Logf("%d answers compared", compared)
}

func randomFilter(random *rand.Rand) Filter {
	f := Filter{Else: random.IntN(2) == 0}
	for _, call := range random.Perm(newest)[:random.IntN(150)] {
		r := Rule{Call: uint32(call), Never: random.IntN(8) == 0}
		if random.IntN(8) == 0 {
			r.Errno = unix.ENOSYS
		}
		for range random.IntN(3) {
			c := Condition{Arg: random.IntN(6), Upper: random.IntN(4) == 0, Test: Test(random.IntN(3)), Mask: uint32(random.IntN(2) * random.IntN(8))}
			n := random.IntN(5)
			if c.Test == AtLeast {
				n = 1
			}
			for range n {
				c.Values = append(c.Values, random.Uint32N(8))
			}
			r.If = append(r.If, c)
		}
		f.Rules = append(f.Rules, r)
	}
	return f
}

func TestFaultyFiltersAreRefused(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string][]Rule{
		"two rules":    {{Call: 7}, {Call: 7, Never: true}},
		"no such call": {{Call: newest + 5}},
	} {
		if _, err := (Filter{Rules: rules}).compile(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	long := Rule{Call: 3}
	for range 2000 {
		long.If = append(long.If, Condition{Values: []uint32{1}})
	}
	if _, err := (Filter{Rules: []Rule{long}}).compile(); err == nil {
		t.Error("a program that is too long: no error")
	}
}

func address(p *unix.SockFprog) uintptr { return uintptr(unsafe.Pointer(p)) }

// The longest program that the kernel takes is one, and no instruction more.
func TestLongestProgram(t *testing.T) {
	t.Parallel()
	rule := Rule{Call: 3}
	for range 1300 {
		rule.If = append(rule.If, Condition{Values: []uint32{1}})
	}
	last, longest := Condition{Arg: 1}, 0
	for range 0xff {
		last.Values = append(last.Values, 1)
		program, err := Filter{Rules: []Rule{{Call: 3, If: append(rule.If, last)}}}.compile()
		if err != nil {
			break
		}
		longest = len(program)
	}
	if longest != unix.BPF_MAXINSNS {
		t.Errorf("%d instructions, want %d", longest, unix.BPF_MAXINSNS)
	}
}
