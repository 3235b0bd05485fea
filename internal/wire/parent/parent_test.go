package parent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
)

func channels(t *testing.T) (up, down *Channel) {
	t.Helper()
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	up, err = NewChannel(a)
	if err != nil {
		t.Fatal(err)
	}
	down, err = NewChannel(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { up.Close(); down.Close() })
	return up, down
}

func TestFrames(t *testing.T) {
	t.Parallel()
	up, down := channels(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	env := []string{"A=1", "B=two words", "C="}
	for _, f := range []Frame{
		{Kind: Link, Name: Entries, File: w},
		{Kind: Environment, Data: EncodeEnvironment(env)},
		{Kind: DefaultDelivery, Data: []byte("./Maildir/\n")},
		{Kind: Go},
		{Kind: Drain},
	} {
		if sent, err := up.Send(f); !sent || err != nil {
			t.Fatalf("%c: %v %v", f.Kind, sent, err)
		}
	}
	up.Close()
	var kinds []Kind
	err = down.Run(func(f Frame) error {
		kinds = append(kinds, f.Kind)
		switch f.Kind {
		case Link:
			if f.Name != Entries || f.File == nil || f.Version != Version {
				t.Errorf("link: got %q %v of version %d", f.Name, f.File, f.Version)
			}
			f.File.Close()
		case Environment:
			if got := DecodeEnvironment(f.Data); !slices.Equal(got, env) {
				t.Errorf("environment: got %q", got)
			}
		case DefaultDelivery:
			if string(f.Data) != "./Maildir/\n" {
				t.Errorf("default delivery: got %q", f.Data)
			}
		}
		return nil
	})
	if err != nil || !slices.Equal(kinds, []Kind{Link, Environment, DefaultDelivery, Go, Drain}) {
		t.Errorf("got %c, %v", kinds, err)
	}
}

func TestNextRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		f    Frame
	}{
		{"unknown kind", Frame{Kind: '?'}},
		{"link without a descriptor", Frame{Kind: Link, Name: Entries}},
		{"descriptor with a frame that has none", Frame{Kind: Go, File: os.Stdin}},
	} {
		up, down := channels(t)
		if _, err := up.Send(c.f); err != nil {
			t.Fatal(err)
		}
		if _, err := down.Next(); err == nil || err == io.EOF {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	up, down := channels(t)
	if _, err := up.Send(Frame{Kind: Environment, Data: make([]byte, MaxData+1)}); err != ErrTooLarge {
		t.Errorf("large environment: got %v", err)
	}
	if sent, err := up.Send(Frame{Kind: Environment, Data: make([]byte, MaxData)}); !sent || err != nil {
		t.Errorf("the largest environment: %v, %v", sent, err)
	}
	if f, err := down.Next(); len(f.Data) != MaxData || err != nil {
		t.Errorf("the largest environment: %d bytes, %v", len(f.Data), err)
	}
}

// A descriptor of a frame that is refused does not stay open.
func TestRefusedDescriptorIsClosed(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"?", "G", "Lentries", "Lentries 99"} {
		a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := fdpass.NewPackets(a)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		down, err := NewChannel(b)
		if err != nil {
			t.Fatal(err)
		}
		defer down.Close()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := raw.Send([]byte(text), w); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if f, err := down.Next(); err == nil {
			t.Errorf("%q: %+v", text, f)
		}
		if _, err := r.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%q: the descriptor: %v", text, err)
		}
	}
}

// asDaemon is in the environment of this program where it is run as one.
const asDaemon = "PARENT_TEST_DAEMON"

// TestMain runs this program as a daemon, which says what it has inherited.
func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) == "" {
		os.Exit(m.Run())
	}
	c, err := Inherited()
	if err != nil {
		fmt.Print(err)
		os.Exit(0)
	}
	f, err := c.Next()
	fmt.Printf("%c %s, %v", f.Kind, f.Data, err)
	os.Exit(0)
}

// A daemon has the channel that its parent gave to it, and no other descriptor
// in its place.
func TestInherited(t *testing.T) {
	t.Parallel()
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	up, err := NewChannel(a)
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	if sent, err := up.Send(Frame{Kind: RemoteWorkers, Data: []byte("7")}); !sent || err != nil {
		t.Fatalf("%v, %v", sent, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.Close()
	for _, c := range []struct {
		name string
		file *os.File
		want string
	}{
		{"a channel", b, "N 7, <nil>"},
		{"a pipe", r, "descriptor 3 is not a control channel: this program is started by qmail-start"},
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asDaemon+"=1")
		cmd.ExtraFiles = []*os.File{c.file}
		if said, err := cmd.CombinedOutput(); string(said) != c.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", c.name, said, err, c.want)
		}
	}
}

// A link of a version that this release does not speak is refused, and the
// error says what to do.
func TestLinkOfAnotherVersion(t *testing.T) {
	t.Parallel()
	for _, version := range []int{Oldest - 1, Version + 1, 99} {
		if version == 0 {
			continue // 0 is not sent
		}
		up, down := channels(t)
		if _, err := up.Send(Frame{Kind: Link, Name: Entries, Version: version, File: os.Stdin}); err != nil {
			t.Fatal(err)
		}
		_, err := down.Next()
		var wrong *VersionError
		if !errors.As(err, &wrong) || wrong.Got != version || !strings.Contains(err.Error(), "link entries: the other side speaks version") {
			t.Errorf("version %d: %v", version, err)
		}
	}
	for _, c := range []struct {
		version int
		want    bool
	}{{Oldest - 1, false}, {Oldest, true}, {Version, true}, {Version + 1, true}, {Version + 2, false}} {
		if got := Adjacent(c.version); got != c.want {
			t.Errorf("version %d beside this release: %v", c.version, got)
		}
	}
	if Between(1, 2) != 1 || Between(2, 1) != 1 {
		t.Error("two releases do not speak the version of the older one")
	}
}

// TestNames: the names of the workers' links, which both sides make.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{SpawnRemote(0), "spawn.remote.0"}, {SignRemote(1), Sign + ".remote.1"}, {DKIMRemote(2), DKIM + ".remote.2"},
		{MTASTSRemote(3), MTASTS + ".remote.3"}, {TLSSeenRemote(4), TLSSeen + ".remote.4"}, {TLSRPTRemote(15), TLSRPT + ".remote.15"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if layout, number, program, err := ParseArea(AreaName("abc", 7, "qmail-send")); layout != "abc" || number != 7 || program != "qmail-send" || err != nil {
		t.Errorf("area %q, %d, %q, %v", layout, number, program, err)
	}
	for _, text := range []string{"", "abc 7", "abc 7 x y", "abc x qmail-send"} {
		if _, _, _, err := ParseArea(text); err == nil {
			t.Errorf("%q is an area", text)
		}
	}
	if name, words := ParseListener(ListenerName("listen.smtp", []string{"proxy", "tls"})); name != "listen.smtp" || !slices.Equal(words, []string{"proxy", "tls"}) {
		t.Errorf("listener %q, %q", name, words)
	}
	if name, words := ParseListener(" "); name != "" || words != nil {
		t.Errorf("no listener is %q, %q", name, words)
	}
}

func TestFramesThatNobodyTook(t *testing.T) {
	t.Parallel()
	up, down := channels(t)
	untaken := func(want bool) {
		t.Helper()
		if got, err := up.Untaken(); got != want || err != nil {
			t.Errorf("untaken %v, %v", got, err)
		}
	}
	untaken(false)
	if sent, err := up.Send(Frame{Kind: Pulse}); !sent || err != nil {
		t.Fatalf("%v, %v", sent, err)
	}
	untaken(true)
	if f, err := down.Next(); f.Kind != Pulse || err != nil {
		t.Errorf("%+v, %v", f, err)
	}
	untaken(false)
	for {
		sent, err := up.Send(Frame{Kind: Pulse})
		if err != nil {
			t.Fatal(err)
		}
		if !sent {
			break
		}
	}
	untaken(true)
}

// TestHandedOver: the channel of a daemon that goes on has another end.
func TestHandedOver(t *testing.T) {
	t.Parallel()
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	old, err := NewChannel(a)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := old.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	up, err := HandedOver(kept)
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	down, err := NewChannel(b)
	if err != nil {
		t.Fatal(err)
	}
	defer down.Close()
	if sent, err := up.Send(Frame{Kind: Go}); !sent || err != nil {
		t.Fatalf("%v, %v", sent, err)
	}
	if f, err := down.Next(); f.Kind != Go || err != nil {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := HandedOver(1 << 20); !errors.Is(err, unix.EBADF) {
		t.Errorf("a descriptor that is not there: %v", err)
	}
	if _, err := NewChannel(a); err == nil {
		t.Error("a closed file is a channel")
	}
}

// TestRunEnds: by what happens to the channel, and by who handles it.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	up, down := channels(t)
	for _, f := range []Frame{{Kind: Go}, {Kind: '?'}} {
		if _, err := up.Send(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := down.Run(func(Frame) error { return enough }); err != enough {
		t.Errorf("of who handles it: %v", err)
	}
	if err := down.Run(func(Frame) error { return nil }); err == nil || !strings.Contains(err.Error(), "unknown frame '?'") {
		t.Errorf("of the channel: %v", err)
	}
}

func TestLinkWithoutVersion(t *testing.T) {
	t.Parallel()
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := fdpass.NewPackets(a)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	down, err := NewChannel(b)
	if err != nil {
		t.Fatal(err)
	}
	defer down.Close()
	for _, text := range []string{"Lentries 0", "Lentries -1", "Lentries 2"} {
		if err := raw.Send([]byte(text), os.Stdin); err != nil {
			t.Fatal(err)
		}
		_, err := down.Next()
		if wrong, is := errors.AsType[*VersionError](err); !is || wrong.Link != "link entries" {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"Lentries", "Lentries x"} {
		if err := raw.Send([]byte(text), os.Stdin); err != nil {
			t.Fatal(err)
		}
		if _, err := down.Next(); err == nil || !strings.Contains(err.Error(), "has no version") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestEnvironmentThatIsCut(t *testing.T) {
	t.Parallel()
	if got := DecodeEnvironment([]byte("A=1\x00B=2")); !slices.Equal(got, []string{"A=1"}) {
		t.Errorf("%q", got)
	}
}
