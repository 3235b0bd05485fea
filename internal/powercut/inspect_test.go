package powercut

import (
	"crypto/sha256"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/priv"
	"postrider/internal/queuecheck"
	"postrider/internal/queuedir"
)

// inspector looks at states as qmail-queuectl check does. The suite recovers from
// every power cut by itself: so nothing is for anybody's hands, every whole message
// counts, and every file is accounted for.
type inspector struct {
	t        *testing.T
	layout   queuedir.Layout
	written  map[string]*Content // what is on disk now
	states   int
	seen     map[[sha256.Size]byte]bool
	findings map[queuecheck.Kind]int
	broken   int
}

const queueRoot = "/var/qmail/queue/"

func newInspector(t *testing.T) *inspector {
	t.Helper()
	home := t.TempDir()
	i := &inspector{t: t, layout: queuedir.At(home), written: make(map[string]*Content), seen: make(map[[sha256.Size]byte]bool), findings: make(map[queuecheck.Kind]int)}
	for _, e := range priv.Tree() {
		if e.Path != "queue" && !strings.HasPrefix(e.Path, "queue/") {
			continue
		}
		path := filepath.Join(home, e.Path)
		var err error
		if e.File {
			err = os.WriteFile(path, nil, 0o600)
		} else if err = os.Mkdir(path, 0o700); err == nil {
			err = os.Chmod(path, e.Mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return i
}

// see looks at a state. Large contents of which there are very many are not kept:
// their states are passed over.
func (i *inspector) see(r recorded, s *State) {
	i.t.Helper()
	want := make(map[string]*Content)
	for name, content := range s.Tree.Files {
		if below, found := strings.CutPrefix(name, queueRoot); found && !strings.HasPrefix(below, "lock/") {
			if content.Data == nil && content.size > 0 {
				return
			}
			want[below] = content
		}
	}
	i.states++
	key := keyOf(want)
	if i.seen[key] {
		return // it differs from another one in mailboxes alone
	}
	i.seen[key] = true
	i.become(want)
	sum, err := queuecheck.Run(queuecheck.Config{
		Layout: i.layout, Clock: clock.Real(), Pause: func(time.Duration) { i.t.Error("nobody works on this queue") },
		Report: func(f queuecheck.Finding) error {
			i.findings[f.Kind]++
			if f.Level != queuecheck.Own {
				i.breaks(r, s, f.Path+" "+f.What)
			}
			return nil
		},
	})
	if err != nil {
		i.t.Fatal(err)
	}
	if whole := wholeMessages(s.Tree); sum.Messages != whole {
		i.breaks(r, s, "a number of whole messages that is not the right one")
	}
}

// keyOf stands for files with their contents.
func keyOf(files map[string]*Content) (key [sha256.Size]byte) {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		_, _ = io.WriteString(h, name+"\x00") // a hash takes everything
		_, _ = h.Write(files[name].sum[:])
	}
	h.Sum(key[:0])
	return key
}

// maxBroken bounds what is said.
const maxBroken = 20

func (i *inspector) breaks(r recorded, s *State, what string) {
	i.t.Helper()
	if i.broken++; i.broken <= maxBroken {
		i.t.Errorf("%s, after line %d: %s, in\n  %s", r.name, s.Point, what, strings.Join(slices.Sorted(maps.Keys(i.written)), "\n  "))
	}
}

// become makes the files on disk those of a state; most are there already.
func (i *inspector) become(want map[string]*Content) {
	i.t.Helper()
	for name := range i.written {
		if want[name] == nil {
			if err := os.Remove(i.layout.Root + "/" + name); err != nil {
				i.t.Fatal(err)
			}
		}
	}
	for name, content := range want {
		if i.written[name] == content {
			continue
		}
		mode := os.FileMode(0o640)
		if strings.HasPrefix(name, "info/") {
			mode = 0o600
		}
		err := os.WriteFile(i.layout.Root+"/"+name, content.Data, mode)
		if err == nil {
			err = os.Chmod(i.layout.Root+"/"+name, mode)
		}
		if err != nil {
			i.t.Fatal(err)
		}
	}
	i.written = want
}

// wholeMessages counts those of a state by the formats that this package knows.
func wholeMessages(t *Tree) (n int64) {
	for name, content := range t.Files {
		m := entryName.FindStringSubmatch(name)
		if m == nil || m[2] != "" {
			continue
		}
		if e := content.entry(); e.whole && (e.inline || e.outside(t.Files[name+".body"])) {
			n++
		}
	}
	return n
}
