package migrate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Lines that the writer makes are known again; anything else that a shell would
// take otherwise is not.
func TestKnownProgram(t *testing.T) {
	t.Parallel()
	const home = "/var/qmail"
	for _, text := range []string{"far.example", "joe+@far.example", "a-b.c@x-y.example"} {
		line, ok := RestLine(home, text)
		if got, known := KnownProgram(home, line); !ok || !known || got != (Target{Rest, text}) {
			t.Errorf("%q becomes %q, and %v, %v", text, line, got, known)
		}
	}
	for _, odd := range []string{"", "a b", "$(id)@x", "x`id`", "a\"b", "a@b;c"} {
		if line, ok := RestLine(home, odd); ok {
			t.Errorf("%q becomes %q", odd, line)
		}
	}
	line := RefuseLine(home, "it's gone; `id`")
	if got, known := KnownProgram(home, line); !known || got.Kind != Refuse {
		t.Errorf("%q is %v, %v", line, got, known)
	}
	for _, other := range []string{
		`/var/qmail/bin/forward "$DEFAULT@a"; id`, `/var/qmail/bin/forward $DEFAULT@a`, `/bin/forward "$DEFAULT@a"`,
		`/var/qmail/bin/bouncesaying 'a' id`, `/var/qmail/bin/bouncesaying 'a'b'`, `forward "$DEFAULT@a"`,
	} {
		if got, known := KnownProgram(home, other); known {
			t.Errorf("%q is %v", other, got)
		}
	}
}

func FuzzKnownProgram(f *testing.F) {
	f.Add("far.example", "gone")
	f.Add("a@b$(id)", "it's")
	f.Fuzz(func(t *testing.T, text, refusal string) {
		if line, ok := RestLine("/q", text); ok {
			if strings.ContainsAny(line[len(`/q/bin/forward "`):len(line)-1], "\"`\\\n ;|&<>()") || strings.Count(line, "$") != 1 {
				t.Errorf("%q becomes %q", text, line)
			}
		}
		if line := RefuseLine("/q", refusal); strings.Count(line, "'") != 2 {
			t.Errorf("%q becomes %q", refusal, line)
		}
	})
}

// A way ends, and what leads back to itself is not followed again.
func TestExpand(t *testing.T) {
	t.Parallel()
	got := Expand("a", func(address string) (ends, next []string) {
		switch address {
		case "a":
			return []string{"x"}, []string{"B", "a", "b"}
		case "B":
			return []string{"y", "x"}, []string{"A"}
		}
		return []string{"never"}, nil
	})
	if strings.Join(got, " ") != "x y" {
		t.Errorf("got %q", got)
	}
	got = Expand("a", func(address string) (ends, next []string) { return nil, []string{address + "a"} })
	if len(got) != 1 || !strings.HasPrefix(got[0], "waits: ") {
		t.Errorf("got %q", got)
	}
}

// Nothing but a plain file in the tree is read, and nothing is waited for.
func TestTree(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	in := func(name string) string { return filepath.Join(root, name) }
	for name, text := range map[string]string{outside: "secret", in("file"): "text"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"out": outside, "up": "../../../../../../etc/passwd", "in": "/file", "loop": "loop"} {
		if err := os.Symlink(to, in(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(in("fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	large, err := os.Create(in("large"))
	if err != nil {
		t.Fatal(err)
	}
	if err := large.Truncate(maxFile + 1); err != nil {
		t.Fatal(err)
	}
	large.Close()
	tree, err := OpenTree(root)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for _, name := range []string{"/file", "/in", "/../file"} {
		if text, err := tree.Read(name); text != "text" || err != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	for _, name := range []string{"/out", "/up", "/loop", "/fifo", "/large", "/", "/none", "/file/x"} {
		if text, err := tree.Read(name); err == nil {
			t.Errorf("%s is read: %q", name, text)
		}
	}
	if real := tree.Real("/in"); real != in("file") {
		t.Errorf("the file of a link is %s", real)
	}
}
