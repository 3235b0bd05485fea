package submit

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, a := range []Answer{
		{Kind: Accepted, ID: "17950000001234564207"},
		{Kind: Temporary, ExitCode: 53, Text: "disk full"},
		{Kind: Permanent, ExitCode: 11},
	} {
		b := AppendAnswer(nil, a)
		got, err := ReadAnswer(bytes.NewReader(b))
		if err != nil || got != a {
			t.Errorf("%+v: got %+v, %v", a, got, err)
		}
		for n := 1; n < len(b); n++ {
			if _, err := ReadAnswer(bytes.NewReader(b[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%+v cut at %d: %v", a, n, err)
			}
		}
	}
	for _, n := range []int{maxAnswer - 2, maxAnswer - 1, maxAnswer, 5000} {
		text := strings.Repeat("x", n)
		long := AppendAnswer(nil, Answer{Kind: Temporary, Text: text})
		if a, err := ReadAnswer(bytes.NewReader(long)); err != nil || a.Text != text[:min(n, maxAnswer-1)] {
			t.Errorf("a text of %d bytes: %d, %v", n, len(a.Text), err)
		}
	}
	most := strings.Repeat("1", maxAnswer)
	if a, err := ReadAnswer(bytes.NewReader(AppendFrame(nil, Accepted, []byte(most)))); err != nil || a.ID != most {
		t.Errorf("the longest answer: %d bytes, %v", len(a.ID), err)
	}
	if kind, n, err := ReadHeader(bytes.NewReader(AppendHeader(nil, Message, MaxFrame))); kind != Message || n != MaxFrame || err != nil {
		t.Errorf("the longest frame: %q, %d, %v", kind, n, err)
	}
	if _, n, err := ReadHeader(bytes.NewReader(AppendHeader(nil, Message, MaxFrame+1))); err != ErrFrame {
		t.Errorf("a longer frame: %d, %v", n, err)
	}
	broken := errors.New("broken")
	if _, err := ReadAnswer(io.MultiReader(bytes.NewReader(AppendHeader(nil, Accepted, 1)), iotest.ErrReader(broken))); err != broken {
		t.Errorf("an answer that cannot be read: %v", err)
	}
	for _, n := range []int{maxAnswer + 1, MaxFrame + 1} {
		if _, err := ReadAnswer(bytes.NewReader(AppendHeader(nil, Accepted, n))); err != ErrFrame {
			t.Errorf("an answer of %d bytes: %v", n, err)
		}
	}
	for _, bad := range [][]byte{
		AppendFrame(nil, Accepted, nil),
		AppendFrame(nil, Temporary, nil),
		AppendFrame(nil, Message, []byte("x")),
		AppendFrame(nil, Accepted, make([]byte, maxAnswer+1)),
		AppendHeader(nil, Accepted, MaxFrame+1),
	} {
		if _, err := ReadAnswer(bytes.NewReader(bad)); err == nil {
			t.Errorf("%q... was taken", bad[:min(len(bad), 8)])
		}
	}
}

func TestGreeting(t *testing.T) {
	t.Parallel()
	if err := ReadGreeting(bytes.NewReader(AppendFrame(nil, Ready, []byte(Version)))); err != nil {
		t.Errorf("ready: %v", err)
	}
	if err := ReadGreeting(bytes.NewReader(AppendFrame(nil, Busy, nil))); !errors.Is(err, ErrBusy) {
		t.Errorf("busy: %v", err)
	}
	if err := ReadGreeting(bytes.NewReader(AppendFrame(nil, Ready, []byte("2")))); err == nil {
		t.Error("another version was taken")
	}
	if err := ReadGreeting(bytes.NewReader(AppendFrame(nil, Message, []byte(Version)))); err == nil {
		t.Error("another frame was taken")
	}
	if err := ReadGreeting(strings.NewReader("")); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

func TestChannel(t *testing.T) {
	t.Parallel()
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	client, err := fdpass.NewPackets(a)
	if err != nil {
		t.Fatal(err)
	}
	server, err := fdpass.NewPackets(b)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ours, err := Connect(client)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := ReceiveConnection(server)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	if _, err := theirs.Write(AppendFrame(nil, Ready, []byte(Version))); err != nil {
		t.Fatal(err)
	}
	if err := ReadGreeting(ours); err != nil {
		t.Error(err)
	}
	if err := client.Send([]byte{'?'}); err != nil {
		t.Fatal(err)
	}
	if _, err := ReceiveConnection(server); err == nil {
		t.Error("a packet without a connection was taken")
	}
	client.Close()
	if _, err := ReceiveConnection(server); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add(AppendAnswer(nil, Answer{Kind: Accepted, ID: "17950000001234564207"}))
	f.Add(AppendAnswer(nil, Answer{Kind: Permanent, ExitCode: 11, Text: "x"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ReadAnswer(bytes.NewReader(b))
		if err != nil {
			return
		}
		again := AppendAnswer(nil, a)
		if !bytes.HasPrefix(b, again) {
			t.Errorf("%q reads as %+v, which is %q", b, a, again)
		}
	})
}

// packets is both ends of a submit channel.
func packets(t *testing.T) (client, server *fdpass.Packets) {
	t.Helper()
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	client, err = fdpass.NewPackets(a)
	if err != nil {
		t.Fatal(err)
	}
	server, err = fdpass.NewPackets(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// The spool's word comes as it was said, and anything else ends the channel.
func TestFull(t *testing.T) {
	t.Parallel()
	client, server := packets(t)
	for _, full := range []bool{true, false, true} {
		if sent, err := SayFull(server, full); !sent || err != nil {
			t.Fatalf("%v, %v", sent, err)
		}
	}
	for _, other := range []string{"x", "FF"} {
		if err := server.Send([]byte(other)); err != nil {
			t.Fatal(err)
		}
	}
	var heard []bool
	for range 2 {
		err := HearFull(client, func(full bool) { heard = append(heard, full) })
		if err == nil || err == io.EOF || !slices.Equal(heard, []bool{true, false, true}) {
			t.Errorf("%v, %v", heard, err)
		}
	}
	server.Close()
	if err := HearFull(client, func(bool) { t.Error("heard something") }); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

// Who cannot get a connection has none, and waits for none.
func TestNoConnection(t *testing.T) {
	t.Parallel()
	client, server := packets(t)
	for sent := true; sent; {
		var err error
		if sent, err = client.TrySend([]byte{'x'}); err != nil {
			t.Fatal(err)
		}
	}
	if f, err := Connect(client); f != nil || err == nil || !strings.Contains(err.Error(), "its channel is full") {
		t.Errorf("over a full channel: %v", err)
	}
	server.Close()
	if f, err := Connect(client); f != nil || !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("over one that has ended: %v", err)
	}
}

// ends fails unless the peer of f has no open descriptor any more.
func ends(t *testing.T, what string, f *os.File) {
	t.Helper()
	if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%s: %d bytes, %v", what, n, err)
	}
}

// Of what comes along with a packet that hands over no connection, nothing
// stays open.
func TestWhatIsNoConnection(t *testing.T) {
	t.Parallel()
	client, server := packets(t)
	ours, theirs, err := fdpass.Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	if err := client.Send([]byte{'?'}, theirs); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	if f, err := ReceiveConnection(server); err == nil {
		t.Errorf("another packet with a descriptor is a connection: %v", f)
	}
	ends(t, "another packet", ours)
	if err := client.Send([]byte{ChannelByte}); err != nil {
		t.Fatal(err)
	}
	if f, err := ReceiveConnection(server); err == nil {
		t.Errorf("a packet without a descriptor is a connection: %v", f)
	}
}

// A connection has two ends and no more: who closes his ends it.
func TestConnectionHasTwoEnds(t *testing.T) {
	t.Parallel()
	client, server := packets(t)
	ours, err := Connect(client)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := ReceiveConnection(server)
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	ends(t, "the spool closed it", ours)
}

// open counts the descriptors of this process.
func open(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Who cannot get a connection keeps no end of it. Not parallel: others open
// descriptors.
func TestNoConnectionLeavesNothingOpen(t *testing.T) {
	client, server := packets(t)
	server.Close()
	before := open(t)
	for range 5 {
		if _, err := Connect(client); err == nil {
			t.Error("connected to nobody")
		}
	}
	if after := open(t); after != before {
		t.Errorf("%d descriptors, and %d before", after, before)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	f, err := Connect(client)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if f != nil || !errors.Is(err, unix.EMFILE) {
		t.Errorf("without a descriptor left: %v", err)
	}
}
