package parent

import (
	"errors"
	"io"
	"os"
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
	up, _ := channels(t)
	if _, err := up.Send(Frame{Kind: Environment, Data: make([]byte, MaxData+1)}); err != ErrTooLarge {
		t.Errorf("large environment: got %v", err)
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
