package powercut

import (
	"fmt"
	"strings"
	"testing"
)

// hexed writes text as strace -xx does.
func hexed(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, `\x%02x`, text[i])
	}
	return b.String()
}

// traceOf makes the output of strace from lines in which 'text' stands for a
// string, and <text> for a name, as strace writes them.
func traceOf(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		pid, call, _ := strings.Cut(line, " ")
		fmt.Fprintf(&b, "%s<%s> %s\n", pid, hexed("qmail-spool"), encode(call))
	}
	return b.String()
}

func encode(call string) string {
	var b strings.Builder
	for call != "" {
		i := strings.IndexAny(call, "'<")
		if i < 0 || strings.HasPrefix(call[i:], "<unfinished") || strings.HasPrefix(call[i:], "<... ") {
			return b.String() + call
		}
		end := map[byte]string{'\'': "'", '<': ">"}[call[i]]
		inner, rest, _ := strings.Cut(call[i+1:], end)
		b.WriteString(call[:i])
		if end == ">" {
			b.WriteString("<" + hexed(inner) + ">")
		} else {
			b.WriteString(`"` + hexed(inner) + `"`)
		}
		call = rest
	}
	return b.String()
}

func emptyBase() *Tree {
	return &Tree{Files: map[string]*Content{}, Dirs: map[string]bool{"/r": true, "/r/tmp": true, "/r/new": true}}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		lines []string
		ops   string
		syncs string
		fails string
	}{
		{name: "a file is made safe", lines: []string{
			"1 openat(AT_FDCWD</>, '/r/tmp/a', O_WRONLY|O_CREAT|O_EXCL, 0600) = 3</r/tmp/a>",
			"1 write(3</r/tmp/a>, 'body', 4) = 4",
			"1 write(3</r/tmp/a>, 'more', 4) = 2",
			"1 fsync(3</r/tmp/a>) = 0",
			"1 renameat(AT_FDCWD</r>, 'tmp/a', AT_FDCWD</r>, 'new/a') = 0",
			"1 fsync(4</r/new>) = 0",
		}, ops: "create /r/tmp/a; write 4 bytes at 0 of /r/tmp/a; write 2 bytes at 4 of /r/tmp/a; rename /r/tmp/a to /r/new/a", syncs: "sync file /r/tmp/a; sync directory /r/new"},
		{name: "what fails has no effect", lines: []string{
			"1 openat(AT_FDCWD</>, '/r/tmp/a', O_WRONLY|O_CREAT|O_EXCL, 0600) = 3</r/tmp/a>",
			"1 write(3</r/tmp/a>, 'body', 4) = -1 ENOSPC (No space left on device)",
			"1 fsync(3</r/tmp/a>) = -1 EIO (Input/output error)",
			"1 unlink('/r/tmp/a') = 0",
		}, ops: "create /r/tmp/a; unlink /r/tmp/a"},
		{name: "calls of two threads in each other", lines: []string{
			"1 openat(AT_FDCWD</>, '/r/tmp/a', O_WRONLY|O_CREAT, 0600) = 3</r/tmp/a>",
			"1 pwrite64(3</r/tmp/a>, 'late', 4, 6 <unfinished ...>",
			"2 mkdir('/r/new/d', 0700) = 0",
			"1 <... pwrite64 resumed>) = 4",
		}, ops: "create /r/tmp/a; mkdir /r/new/d; write 4 bytes at 6 of /r/tmp/a"},
		{name: "syncs by the kernel's queue count when their results are fetched", lines: []string{
			"1 openat(AT_FDCWD</>, '/r/tmp/a', O_WRONLY|O_CREAT, 0600) = 3</r/tmp/a>",
			"1 io_submit(0x7f00, 2, [{aio_data=0x1, aio_lio_opcode=IOCB_CMD_FSYNC, aio_fildes=3</r/tmp/a>}, {aio_data=0x2, aio_lio_opcode=IOCB_CMD_FSYNC, aio_fildes=4</r/tmp>}]) = 2",
			"1 io_getevents(0x7f00, 1, 8, [{data=0x2, obj=0xc0, res=0, res2=0}], NULL) = 1",
			"1 io_getevents(0x7f00, 1, 8, [{data=0x1, obj=0xc1, res=-5, res2=0}], NULL) = 1",
		}, ops: "create /r/tmp/a", syncs: "sync directory /r/tmp"},
		{name: "a result that is fetched before the call that asked has ended", lines: []string{
			"1 clone3({flags=CLONE_THREAD}, 88) = 2",
			"1 openat(AT_FDCWD</>, '/r/tmp/a', O_WRONLY|O_CREAT, 0600) = 3</r/tmp/a>",
			"1 io_submit(0x7f00, 1, [{aio_data=0, aio_lio_opcode=IOCB_CMD_FSYNC, aio_fildes=3</r/tmp/a>}] <unfinished ...>",
			"2 io_getevents(0x7f00, 0, 1, [{data=0, obj=0xc0, res=0, res2=0}], NULL) = 1",
			"1 <... io_submit resumed>) = 1",
			"1 mkdir('/r/new/d', 0700) = 0",
		}, ops: "create /r/tmp/a; mkdir /r/new/d", syncs: "sync file /r/tmp/a"},
		{name: "elsewhere", lines: []string{
			"1 openat(AT_FDCWD</>, '/else/a', O_WRONLY|O_CREAT, 0600) = 3</else/a>",
			"1 write(3</else/a>, 'body', 4) = 4",
		}},
		{name: "a call that the model does not have", lines: []string{"1 symlink('/x', '/r/new/l') = 0"}, fails: "not understood"},
		{name: "a write that is not whole in the trace", lines: []string{
			"1 openat(AT_FDCWD</>, '/r/tmp/a', O_WRONLY|O_CREAT, 0600) = 3</r/tmp/a>",
			"1 write(3</r/tmp/a>, 'bo', 4) = 4",
		}, fails: "2 bytes of 4"},
		{name: "a file from nowhere", lines: []string{"1 write(3</r/tmp/a>, 'body', 4) = 4"}, fails: "is not known"},
		{name: "the end of a call that did not begin", lines: []string{"1 <... write resumed>) = 4"}, fails: "did not begin"},
		{name: "another sync than asked for", lines: []string{"1 io_getevents(0x7f00, 1, 8, [{data=0x2, obj=0xc0, res=0, res2=0}], NULL) = 1"}, fails: "not asked for"},
	} {
		trace, err := Parse(strings.NewReader(traceOf(c.lines...)), emptyBase(), []string{"/r"})
		if c.fails != "" || err != nil {
			if err == nil || c.fails == "" || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v, want %q", c.name, err, c.fails)
			}
			continue
		}
		if got := joined(trace.Ops); got != c.ops {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.ops)
		}
		if got := joined(trace.Syncs); got != c.syncs {
			t.Errorf("%s: syncs %s, want %s", c.name, got, c.syncs)
		}
	}
}

func joined[T fmt.Stringer](list []T) string {
	var parts []string
	for _, x := range list {
		parts = append(parts, x.String())
	}
	return strings.Join(parts, "; ")
}

// TestParseMarks: what was said is found in what was written to sockets.
func TestParseMarks(t *testing.T) {
	t.Parallel()
	const id = "01234567890123456789"
	text := traceOf("1 sendto(5<socket:[1]>, 'K\x00\x00\x00\x14" + id + "', 25, MSG_NOSIGNAL, NULL, 0) = 25")
	trace, err := Parse(strings.NewReader(text), emptyBase(), []string{"/r"})
	if err != nil {
		t.Fatal(err)
	}
	if len(trace.Marks) != 1 || trace.Marks[0].Kind != Accepted || trace.Marks[0].ID != id {
		t.Errorf("marks %+v", trace.Marks)
	}
}

// The answer to an order is a mark if it says that it is done.
func TestParseOrders(t *testing.T) {
	t.Parallel()
	const id = "01234567890123456789"
	const other = "98765432109876543210"
	for said, marks := range map[string]int{
		"c\x00\x01" + id + "k\x00\x00\x00\x00": 1, "c\x00\x01" + id + "z\x00\x00\x00\x00": 0, "." + id: 0,
		"c\x00\x02" + other + "z\x00\x00\x00\x03not" + id + "k\x00\x00\x00\x00": 1,
	} {
		text := traceOf("1 sendmsg(5<socket:[1]>, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base='" + said + "', iov_len=28}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, MSG_NOSIGNAL) = 28")
		text = strings.Replace(text, hexed("qmail-spool"), hexed("qmail-send"), 1)
		trace, err := Parse(strings.NewReader(text), emptyBase(), []string{"/r"})
		if err != nil {
			t.Fatal(err)
		}
		if len(trace.Marks) != marks || marks == 1 && (trace.Marks[0].Kind != Obeyed || trace.Marks[0].ID != id) {
			t.Errorf("%q: marks %+v", said, trace.Marks)
		}
	}
}
