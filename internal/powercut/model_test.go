package powercut

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// story makes a trace, each step of it after the one before.
type story struct {
	Trace
	now   int
	files map[string]Inode
}

func newStory() *story {
	return &story{
		Trace: Trace{Roots: []string{"/r"}, Base: &Tree{Files: map[string]*Content{}, Dirs: map[string]bool{"/r": true, "/r/tmp": true, "/r/new": true}}},
		files: make(map[string]Inode),
	}
}

func (s *story) op(o Op) *story {
	s.now++
	o.Begin, o.End = s.now, s.now
	s.Ops = append(s.Ops, o)
	return s
}

func (s *story) create(name string) *story {
	s.files[name] = Inode(len(s.files) + 1)
	return s.op(Op{Kind: Create, File: s.files[name], Name: name})
}

func (s *story) write(name, text string) *story {
	return s.op(Op{Kind: Write, File: s.files[name], Name: name, Data: []byte(text)})
}

func (s *story) rename(from, to string) *story {
	s.files[to] = s.files[from]
	return s.op(Op{Kind: Rename, File: s.files[from], From: from, Name: to})
}

func (s *story) unlink(name string) *story {
	return s.op(Op{Kind: Unlink, File: s.files[name], Name: name})
}

func (s *story) sync(kind SyncKind, name string) *story {
	s.now += 2
	s.Syncs = append(s.Syncs, Sync{Kind: kind, File: s.files[name], Name: name, Begin: s.now - 1, End: s.now})
	return s
}

// left are the states that a power cut at the end may leave, as
// "name=text name=text".
func (s *story) left(m Model) []string {
	states := make(map[string]bool)
	e := newEnumeration(&s.Trace, m, Limits{})
	forced := make([]bool, len(s.Ops))
	for _, sync := range s.Syncs {
		e.plan.force(forced, sync)
	}
	e.visit = func(state *State) { states[show(state.Tree)] = true }
	e.point, e.now = s.now, &moment{forced: forced}
	for i := range s.Ops {
		if !forced[i] {
			e.optional = append(e.optional, i)
		}
	}
	e.states()
	return slices.Sorted(maps.Keys(states))
}

func show(t *Tree) string {
	var parts []string
	for _, name := range t.Names() {
		parts = append(parts, fmt.Sprintf("%s=%s", strings.TrimPrefix(name, "/r/"), strings.ReplaceAll(string(t.Files[name].Data), "\x00", "0")))
	}
	return strings.Join(parts, " ")
}

// TestModels holds what the models say a disk may hold against what file
// systems do.
func TestModels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		story *story
		model Model
		want  string // states, separated by " | "; the empty one is "-"
	}{
		{"a file that nobody synced", newStory().create("/r/tmp/a").write("/r/tmp/a", "body"), Ordered,
			"- | tmp/a= | tmp/a=0000 | tmp/a=bo | tmp/a=body"},
		{"a synced file has its name", newStory().create("/r/tmp/a").write("/r/tmp/a", "body").sync(SyncFile, "/r/tmp/a"), Ordered, "tmp/a=body"},
		{"also without an order", newStory().create("/r/tmp/a").write("/r/tmp/a", "body").sync(SyncFile, "/r/tmp/a"), Unordered, "tmp/a=body"},
		{"but not by the letter", newStory().create("/r/tmp/a").write("/r/tmp/a", "body").sync(SyncFile, "/r/tmp/a"), Strict, "- | tmp/a=body"},
		{"a new name that nobody synced",
			newStory().create("/r/tmp/a").write("/r/tmp/a", "b").sync(SyncFile, "/r/tmp/a").rename("/r/tmp/a", "/r/new/a"), Ordered,
			"new/a=b | tmp/a=b"},
		{"a new name in a synced directory",
			newStory().create("/r/tmp/a").write("/r/tmp/a", "b").sync(SyncFile, "/r/tmp/a").rename("/r/tmp/a", "/r/new/a").sync(SyncDir, "/r/new"), Unordered,
			"new/a=b"},
		{"a synced directory says nothing of bytes",
			newStory().create("/r/tmp/a").write("/r/tmp/a", "b").rename("/r/tmp/a", "/r/new/a").sync(SyncDir, "/r/new"), Ordered,
			"new/a= | new/a=0 | new/a=b"},
		{"names come in their order",
			newStory().create("/r/tmp/a").create("/r/new/b").sync(SyncDir, "/r/new"), Ordered, "new/b= tmp/a="},
		{"or not",
			newStory().create("/r/tmp/a").create("/r/new/b").sync(SyncDir, "/r/new"), Unordered, "new/b= | new/b= tmp/a="},
		{"what was removed comes back",
			newStory().create("/r/new/a").sync(SyncFile, "/r/new/a").unlink("/r/new/a"), Ordered, "- | new/a="},
		{"and not after a sync",
			newStory().create("/r/new/a").sync(SyncFile, "/r/new/a").unlink("/r/new/a").sync(SyncDir, "/r/new"), Unordered, "-"},
		{"everything is synced",
			newStory().create("/r/tmp/a").write("/r/tmp/a", "b").rename("/r/tmp/a", "/r/new/a").sync(SyncAll, ""), Strict, "new/a=b"},
		{"a name needs its file: two renames", // never the second without the first
			newStory().create("/r/tmp/a").sync(SyncFile, "/r/tmp/a").rename("/r/tmp/a", "/r/tmp/b").rename("/r/tmp/b", "/r/new/b"), Unordered,
			"new/b= | tmp/a= | tmp/b="},
	} {
		got := c.story.left(c.model)
		for i := range got {
			if got[i] == "" {
				got[i] = "-"
			}
		}
		slices.Sort(got)
		if s := strings.Join(got, " | "); s != c.want {
			t.Errorf("%s, %v:\n got %s\nwant %s", c.name, c.model, s, c.want)
		}
	}
}
