package rcpthosts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/address"
	"postrider/internal/cdb"
	"postrider/internal/control"
	"postrider/internal/lineartest"
)

// load makes a control directory and reads it.
func load(t testing.TB, files map[string]string) (*Hosts, string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h, err := Load(control.Dir(dir))
	return h, dir, err
}

func takes(t testing.TB, h *Hosts, mailbox string) (bool, error) {
	t.Helper()
	a, err := address.New(mailbox)
	if err != nil {
		t.Fatal(err)
	}
	return h.Takes(a)
}

func TestTakes(t *testing.T) {
	t.Parallel()
	plain := map[string]string{"me": "me.example\n", "rcpthosts": "a.example\n.b.example\nKelvin.example\n", "locals": "local.example\n"}
	missing := map[string]string{"me": "me.example\n", "locals": "local.example\n"}
	hack := map[string]string{"rcpthosts": "a.example\nhack.example\n", "percenthack": "Hack.example\na.example\n", "envnoathost": "hack.example\n"}
	for _, c := range []struct {
		name  string
		files map[string]string
		yes   []string
		no    []string
	}{
		{"rcpthosts", plain,
			[]string{"x@a.example", "x@A.EXAMPLE", "x@c.b.example", "x@d.c.b.example", "x", "", "a%b", "x@evil.net@a.example", "x%evil.net@a.example", "x@KELVIN.example", "x@.b.example"},
			[]string{"x@b.example", "x@c.a.example", "x@evil-a.example", "x@a.example.", "x@a.example.evil.net", "x@a.example@evil.net", "x@local.example", "x@me.example", "x@\u212aelvin.example", "x@example", "x@[192.0.2.1]"}},
		{"empty rcpthosts", map[string]string{"me": "me.example\n", "rcpthosts": ""},
			[]string{"x"}, []string{"x@me.example", "x@a.example"}},
		{"no rcpthosts", missing,
			[]string{"x@local.example", "x"}, []string{"x@me.example", "x@a.example"}},
		{"no rcpthosts, no locals", map[string]string{"me": "Me.example\n"},
			[]string{"x@me.example", "x"}, []string{"x@a.example"}},
		{"nothing at all", map[string]string{},
			[]string{"x"}, []string{"x@a.example", "x@me", "x@ "}},
		{"percenthack", hack,
			[]string{"x@a.example", "x%a.example@hack.example", "x%a.example%hack.example@HACK.example", "x", "x%a.example"},
			[]string{"x%evil.net@hack.example", "x%evil.net%hack.example@a.example", "x%evil.net", "%evil.net@a.example"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, _, err := load(t, c.files)
			if err != nil {
				t.Fatal(err)
			}
			for _, mailbox := range c.yes {
				if ok, err := takes(t, h, mailbox); !ok || err != nil {
					t.Errorf("%q: %v, %v", mailbox, ok, err)
				}
			}
			for _, mailbox := range c.no {
				if ok, err := takes(t, h, mailbox); ok || err != nil {
					t.Errorf("%q: %v, %v", mailbox, ok, err)
				}
			}
		})
	}
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	h, dir, err := load(t, map[string]string{"rcpthosts": "a.example\n"})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := takes(t, h, "x@b.example"); ok || err != nil {
		t.Errorf("no database: %v, %v", ok, err)
	}
	path := filepath.Join(dir, "morercpthosts.cdb")
	err = cdb.Replace(path, path+".tmp", 0o644, func(w *cdb.Writer) error {
		for _, key := range []string{"b.example", ".c.example"} {
			if err := w.Add([]byte(key), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for mailbox, want := range map[string]bool{"x@a.example": true, "x@B.example": true, "x@y.c.example": true, "x@c.example": false, "x@z.b.example": false} {
		if ok, err := takes(t, h, mailbox); ok != want || err != nil {
			t.Errorf("%s: %v, %v", mailbox, ok, err)
		}
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	if ok, err := takes(t, h, "x@b.example"); ok || err == nil {
		t.Errorf("damaged database: %v, %v", ok, err)
	}
	if ok, err := takes(t, h, "x@a.example"); !ok || err != nil {
		t.Errorf("damaged database, domain in rcpthosts: %v, %v", ok, err)
	}
	// Without rcpthosts the database is not used (spec 9.1).
	h, _, err = load(t, map[string]string{"me": "me.example\n", "morercpthosts.cdb": "damaged"})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := takes(t, h, "x@b.example"); ok || err != nil {
		t.Errorf("database without rcpthosts: %v, %v", ok, err)
	}
}

// Invariant 1.
func TestLoadFailsClosed(t *testing.T) {
	t.Parallel()
	for _, files := range []map[string]string{
		{"me": "x\n", "rcpthosts": "a\x00b\n"},
		{"me": "x\n", "rcpthosts": strings.Repeat("x", 100000)},
		{"me": "x\n", "rcpthosts": "", "percenthack": "\x00\n"},
		{"me": "x\n", "locals": "\x00\n"},
		{"me": "\x00\n"},
	} {
		if h, _, err := load(t, files); err == nil || h != nil {
			t.Errorf("%q: %v, %v", files, h, err)
		}
	}
}

// R43: no mailbox is longer.
func TestTakesIsLinear(t *testing.T) {
	h := New([]string{"a.example"}, "", []string{"b"}, "b")
	lineartest.Check(t, address.MaxLen-2, func(text string) {
		if _, err := takes(t, h, text+"@b"); err != nil {
			t.Fatal(err)
		}
	}, lineartest.Units("a.", "a@", "a%b", "%", ".", "é.", "%b@"))
}

func FuzzTakes(f *testing.F) {
	f.Add("x%evil.net@hack.example")
	f.Add("x@a.example.")
	f.Add("x%a.example")
	h := New([]string{"a.example", ".b.example", "hack.example"}, "", []string{"hack.example"}, "hack.example")
	f.Fuzz(func(t *testing.T, mailbox string) {
		a, err := address.New(mailbox)
		if err != nil {
			return
		}
		ok, err := h.Takes(a)
		if err != nil {
			t.Fatal(err)
		}
		d := strings.ToLower(a.Domain())
		if ok && a.HasDomain() && !strings.HasSuffix(d, "a.example") && !strings.HasSuffix(d, ".b.example") && d != "hack.example" {
			t.Fatalf("%q was taken", mailbox)
		}
	})
}

// Who asks why is told by which file, and by what in it.
func TestFind(t *testing.T) {
	t.Parallel()
	hack := map[string]string{"rcpthosts": "a.example\n.b.example\n", "percenthack": "a.example\n", "envnoathost": "none.example\n"}
	for _, c := range []struct {
		files   map[string]string
		mailbox string
		takes   bool
		why     Reason
	}{
		{hack, "x@A.example", true, Reason{"rcpthosts", "a.example", false}},
		{hack, "x@c.b.example", true, Reason{"rcpthosts", ".b.example", false}},
		{hack, "x%c.b.example@a.example", true, Reason{"rcpthosts", ".b.example", true}},
		{hack, "x%evil.net@a.example", false, Reason{Hacked: true}},
		{hack, "x@evil.net", false, Reason{}},
		{hack, "x%evil.net", true, Reason{}},
		{hack, "x", true, Reason{}},
		{map[string]string{"locals": "l.example\n", "me": "m.example\n"}, "x@l.example", true, Reason{"locals", "l.example", false}},
		{map[string]string{"me": "m.example\n"}, "x@m.example", true, Reason{"me", "m.example", false}},
	} {
		h, _, err := load(t, c.files)
		if err != nil {
			t.Fatal(err)
		}
		a, err := address.New(c.mailbox)
		if err != nil {
			t.Fatal(err)
		}
		if takes, why, err := h.Find(a); takes != c.takes || why != c.why || err != nil {
			t.Errorf("%q: %v, %+v, %v, want %+v", c.mailbox, takes, why, err, c.why)
		}
	}
}

// Each file that cannot be read is one without which nobody knows.
func TestLoadNeedsEachFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"percenthack", "envnoathost", "rcpthosts", "locals", "me"} {
		for _, files := range []map[string]string{{}, {"envnoathost": "x\n"}} {
			dir := t.TempDir()
			delete(files, name)
			for other, text := range files {
				if err := os.WriteFile(filepath.Join(dir, other), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
			if h, err := Load(control.Dir(dir)); h != nil || err == nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
