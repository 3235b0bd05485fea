package localwork

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"postrider/internal/wire/spawn"
)

var testJobs = []Job{
	{Delivery: 1, User: "joe", Home: "/home/joe", Local: "joe-list", Dash: "-", Ext: "list", Domain: "example.org", Sender: "s@example.com",
		Message: spawn.Message{Bytes: []byte("Subject: x\n\nJ\x00\xff\n")}},
	{Delivery: 1 << 50, User: "alias", Home: "/var/qmail/alias", Local: "x", Dash: "-", Ext: "x", Domain: "example.org", RequireTLS: true},
	{Delivery: 3, User: "joe", Home: "/home/joe", Local: "joe", Domain: "example.org", Message: spawn.Message{ByFile: true}},
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	packet := AppendJobs(nil, testJobs)
	if want := jobsHeader + JobSize(testJobs[0]) + JobSize(testJobs[1]) + JobSize(testJobs[2]); len(packet) != want {
		t.Errorf("JobSize: packet has %d bytes, want %d", len(packet), want)
	}
	jobs, err := DecodeJobs(packet)
	if err != nil || !reflect.DeepEqual(jobs, testJobs) {
		t.Errorf("got %+v, %v", jobs, err)
	}
	for n := range packet {
		if _, err := DecodeJobs(packet[:n]); err == nil {
			t.Errorf("cut at %d was taken", n)
		}
	}
	s := Setup{DefaultDelivery: "./Maildir/\n", Environment: []byte("A=b\x00")}
	if got, err := DecodeSetup(AppendSetup(nil, s)); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("setup: got %+v, %v", got, err)
	}
	slot := AppendSlot(nil, KindWanted, 77)
	if got, err := DecodeSlot(slot, KindWanted); err != nil || got != 77 {
		t.Errorf("slot: got %d, %v", got, err)
	}
	if _, err := DecodeSlot(slot, KindGranted); err == nil {
		t.Error("another kind was taken")
	}
}

func TestAttachFiles(t *testing.T) {
	t.Parallel()
	jobs := append([]Job(nil), testJobs...)
	if err := AttachFiles(jobs, nil); err == nil {
		t.Error("a message by descriptor without one was taken")
	}
	if err := AttachFiles(jobs, []*os.File{os.Stdin}); err != nil || jobs[2].Message.File != os.Stdin || jobs[0].Message.File != nil {
		t.Errorf("got %v", err)
	}
}

func FuzzDecodeJobs(f *testing.F) {
	f.Add(AppendJobs(nil, testJobs))
	f.Fuzz(func(t *testing.T, packet []byte) {
		jobs, err := DecodeJobs(packet)
		if err == nil && !bytes.Equal(AppendJobs(nil, jobs), packet) {
			t.Errorf("%q does not come back", packet)
		}
	})
}

func TestKinds(t *testing.T) {
	t.Parallel()
	results := []spawn.Result{{Delivery: 1, Class: spawn.Success, Text: "x"}}
	for _, c := range []struct {
		packet []byte
		want   Kind
	}{
		{nil, 0}, {AppendSetup(nil, Setup{}), KindSetup}, {AppendJobs(nil, testJobs), KindJobs}, {AppendSlot(nil, KindRefused, 1), KindRefused},
		{AppendResults(nil, results), KindResults},
	} {
		if got := KindOf(c.packet); got != c.want {
			t.Errorf("%q is %q, want %q", c.packet, got, c.want)
		}
	}
	got, err := DecodeResults(AppendResults(nil, results))
	if err != nil || len(got) != 1 || got[0].Text != "x" || got[0].Delivery != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// What fits by JobsFit is taken, and what does not is not.
func TestJobsFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count, size int
		want        bool
	}{{1, MaxPacket - jobsHeader, true}, {1, MaxPacket - jobsHeader + 1, false}, {MaxJobs, 0, true}, {MaxJobs + 1, 0, false}} {
		if got := JobsFit(c.count, c.size); got != c.want {
			t.Errorf("%d jobs of %d bytes: %v", c.count, c.size, got)
		}
	}
	for count, taken := range map[int]bool{0: false, 1: true, MaxJobs: true, MaxJobs + 1: false} {
		if jobs, err := DecodeJobs(AppendJobs(nil, make([]Job, count))); (err == nil) != taken || taken && len(jobs) != count {
			t.Errorf("%d jobs: %d, %v", count, len(jobs), err)
		}
	}
	packet := AppendJobs(nil, testJobs[:1])
	packet[jobsHeader+8] = 2 // RequireTLS
	if _, err := DecodeJobs(packet); err == nil {
		t.Error("a 2 where 0 or 1 belongs was taken")
	}
}
