package submit

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

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
	long := AppendAnswer(nil, Answer{Kind: Temporary, Text: strings.Repeat("x", 5000)})
	if _, err := ReadAnswer(bytes.NewReader(long)); err != nil {
		t.Errorf("a long text is not cut: %v", err)
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
	if f, err := Connect(client); f != nil || err == nil {
		t.Errorf("over a full channel: %v", err)
	}
	server.Close()
	if f, err := Connect(client); f != nil || err == nil {
		t.Errorf("over one that has ended: %v", err)
	}
}
