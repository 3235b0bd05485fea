package spawn

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"postrider/internal/address"
	"postrider/internal/esmtp"
	"postrider/internal/queuedir"
)

func mustAddress(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func testJobs(t testing.TB) []Job {
	id := queuedir.NewID(time.UnixMicro(1795000000123456), 1, 2)
	return []Job{
		{ID: id, Sender: mustAddress(t, ""), Recipients: []Recipient{{Delivery: 1, Address: mustAddress(t, "joe@example.org")}}, Facts: esmtp.Message{RequireTLS: true}},
		{ID: id, Sender: mustAddress(t, "s@example.org"), Host: "example.com", Probe: true, Recipients: []Recipient{
			{2, mustAddress(t, "a@example.com"), esmtp.Recipient{Notify: esmtp.Never, Original: "rfc822;a+2Bb@x"}},
			{1 << 40, mustAddress(t, "b@example.com"), esmtp.Recipient{Notify: esmtp.Success | esmtp.Delay}},
		}, Facts: esmtp.Message{UTF8: true, Return: esmtp.Headers, EnvelopeID: "QQ+2B", Origin: esmtp.FromClient}, Message: Message{Bytes: []byte("Subject: x\n\nJ\x00\xff\n")}},
		{ID: id, Sender: mustAddress(t, ""), Recipients: []Recipient{{Delivery: 3, Address: mustAddress(t, "joe@example.org")}}, Message: Message{ByFile: true}},
	}
}

func TestJobsRoundTrip(t *testing.T) {
	t.Parallel()
	jobs := testJobs(t)
	packet := AppendJobs(nil, 10, jobs)
	size := JobSize(jobs[0]) + JobSize(jobs[1]) + JobSize(jobs[2])
	if want := jobsHeader + size; len(packet) != want {
		t.Errorf("JobSize: packet has %d bytes, want %d", len(packet), want)
	}
	slots, got, err := DecodeJobs(packet)
	if err != nil || slots != 10 || !reflect.DeepEqual(got, jobs) {
		t.Errorf("got %d %+v, %v", slots, got, err)
	}
	for n := range packet {
		if _, _, err := DecodeJobs(packet[:n]); err == nil {
			t.Errorf("cut at %d was taken", n)
		}
	}
	if _, _, err := DecodeJobs(append(packet, 0)); err == nil {
		t.Error("a trailing byte was taken")
	}
	if _, _, err := DecodeJobs(AppendJobs(nil, 0, []Job{{ID: jobs[0].ID}})); err == nil {
		t.Error("a job without recipients was taken")
	}
	if _, _, err := DecodeJobs(append([]byte{'R'}, packet[1:]...)); err == nil {
		t.Error("jobs in a packet of another kind were taken")
	}
	for count, good := range map[int]bool{0: false, MaxJobs: true, MaxJobs + 1: false} {
		many := make([]Job, count)
		for i := range many {
			many[i] = jobs[0]
		}
		if _, got, err := DecodeJobs(AppendJobs(nil, 0, many)); (err == nil) != good || good && len(got) != count {
			t.Errorf("%d jobs: %d, %v", count, len(got), err)
		}
	}
}

// A message in the packet has a limit, and its form is one of two.
func TestMessages(t *testing.T) {
	t.Parallel()
	job := testJobs(t)[0]
	for size, good := range map[int]bool{0: true, 1: true, MaxInline: true, MaxInline + 1: false} {
		job.Message.Bytes = bytes.Repeat([]byte("m"), size)
		packet := AppendJobs(nil, 1, []Job{job})
		if len(packet) != jobsHeader+JobSize(job) {
			t.Errorf("%d bytes: JobSize is wrong", size)
		}
		_, got, err := DecodeJobs(packet)
		if (err == nil) != good || good && !bytes.Equal(got[0].Message.Bytes, job.Message.Bytes) {
			t.Errorf("%d bytes: %v", size, err)
		}
		// The receiver's buffer is used again.
		clear(packet)
		if good && !bytes.Equal(got[0].Message.Bytes, job.Message.Bytes) {
			t.Errorf("%d bytes: the message is part of the packet", size)
		}
	}
	job.Message = Message{ByFile: true}
	packet := AppendJobs(nil, 1, []Job{job})
	packet[len(packet)-1] = 'X'
	if _, _, err := DecodeJobs(packet); err == nil {
		t.Error("a message of another form was taken")
	}
}

// Descriptors go to those messages that are files, in their order, or stay the
// caller's.
func TestAttach(t *testing.T) {
	t.Parallel()
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	for _, c := range []struct {
		forms string // of messages: F or B
		files int
		want  []*os.File // nil: refused
	}{
		{"", 0, []*os.File{}},
		{"BB", 0, []*os.File{nil, nil}},
		{"FBF", 2, []*os.File{os.Stdin, nil, os.Stdout}},
		{"BFFF", 3, []*os.File{nil, os.Stdin, os.Stdout, os.Stderr}},
		{"", 1, nil},
		{"B", 1, nil},
		{"F", 0, nil},
		{"FBF", 1, nil},
		{"FBF", 3, nil},
	} {
		jobs := make([]Job, len(c.forms))
		for i, form := range c.forms {
			jobs[i].Message.ByFile = form == 'F'
		}
		err := AttachFiles(jobs, files[:c.files])
		if (err == nil) != (c.want != nil) {
			t.Errorf("%s with %d files: %v", c.forms, c.files, err)
		}
		for i, j := range jobs {
			if err != nil && j.Message.File != nil || err == nil && j.Message.File != c.want[i] {
				t.Errorf("%s with %d files: message %d has %v", c.forms, c.files, i, j.Message.File)
			}
		}
	}
}

func TestResultsRoundTrip(t *testing.T) {
	t.Parallel()
	results := []Result{
		{Delivery: 1, Class: Success, Text: "did 1+0+0\n"}, {Delivery: 2, Class: Deferral, Destination: Destination{"a.test,b.test", Throttled}},
		{Delivery: 3, Class: Failure, Text: "no\nmailbox\n", Destination: Destination{"!a.test~", None}},
		{Delivery: 4, Class: PassedOn, Destination: Destination{"", Broken}},
	}
	packet := AppendResults(nil, results)
	size := ResultSize(results[0]) + ResultSize(results[1]) + ResultSize(results[2]) + ResultSize(results[3])
	if want := resultsHeader + size; len(packet) != want {
		t.Errorf("ResultSize: packet has %d bytes, want %d", len(packet), want)
	}
	got, err := DecodeResults(packet)
	if err != nil || !reflect.DeepEqual(got, results) {
		t.Errorf("got %+v, %v", got, err)
	}
	for n := range packet {
		if _, err := DecodeResults(packet[:n]); err == nil {
			t.Errorf("cut at %d was taken", n)
		}
	}
	long := Result{Delivery: 1, Class: Failure, Text: strings.Repeat("x", MaxText+1), Destination: Destination{Hosts: strings.Repeat("h", maxHosts+1)}}
	packet = AppendResults(nil, []Result{long})
	if len(packet) != resultsHeader+ResultSize(long) {
		t.Errorf("ResultSize of a long text is wrong")
	}
	if got, err := DecodeResults(packet); err != nil || len(got[0].Text) != MaxText || len(got[0].Hosts) != maxHosts {
		t.Errorf("long text: %v", err)
	}
	for _, bad := range []string{"R\x00\x00", "R\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01X\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"S" + string(packet[1:]), "R\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01K\x00\x00\x00\x00u\x00\x00\x00\x01 ", "R\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01K\x00\x00\x00\x00u\x00\x00\x00\x01\x7f",
		"R\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01K\x00\x00\x00\x00x\x00\x00\x00\x00", "R\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01K\x00\x00\x00\x00u\x00\x00\x00\x01\n", "J\x00\x01"} {
		if _, err := DecodeResults([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzDecodeJobs(f *testing.F) {
	f.Add(AppendJobs(nil, 10, testJobs(f)))
	f.Fuzz(func(t *testing.T, packet []byte) {
		slots, jobs, err := DecodeJobs(packet)
		if err == nil && !bytes.Equal(AppendJobs(nil, slots, jobs), packet) {
			t.Errorf("%q does not come back", packet)
		}
	})
}

func FuzzDecodeResults(f *testing.F) {
	f.Add(AppendResults(nil, []Result{{Delivery: 1, Class: Success, Text: "ok"}, {Delivery: 2, Class: Failure, Text: "no\n", Destination: Destination{"mx.test", Unreachable}}}))
	f.Fuzz(func(t *testing.T, packet []byte) {
		results, err := DecodeResults(packet)
		if err == nil && !bytes.Equal(AppendResults(nil, results), packet) {
			t.Errorf("%q does not come back", packet)
		}
	})
}

// Facts that no client can have said are refused.
func TestImpossibleFacts(t *testing.T) {
	t.Parallel()
	good := testJobs(t)[1]
	good.Facts.RequireTLS = true
	packet := AppendJobs(nil, 0, []Job{good})
	if _, got, err := DecodeJobs(packet); err != nil || got[0].Facts != good.Facts {
		t.Errorf("all needs: %+v, %v", got, err)
	}
	needs := []byte{needsUTF8 | needsTLS, byte(good.Facts.Return)}
	if bytes.Count(packet, needs) != 1 {
		t.Fatalf("%q is not found", needs)
	}
	if _, _, err := DecodeJobs(bytes.Replace(packet, needs, []byte{needsTLS << 1, needs[1]}, 1)); err == nil {
		t.Error("an unknown need was taken")
	}
	for name, spoil := range map[string]func(*Job){
		"RET":    func(j *Job) { j.Facts.Return = 'X' },
		"ENVID":  func(j *Job) { j.Facts.EnvelopeID = "a b" },
		"NOTIFY": func(j *Job) { j.Recipients[0].Facts.Notify = esmtp.Never | esmtp.Failure },
		"bits":   func(j *Job) { j.Recipients[0].Facts.Notify = 1 << 6 },
		"ORCPT":  func(j *Job) { j.Recipients[0].Facts.Original = "x\r\nDATA" },
	} {
		bad := good
		bad.Recipients = append([]Recipient(nil), good.Recipients...)
		spoil(&bad)
		if _, _, err := DecodeJobs(AppendJobs(nil, 0, []Job{bad})); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// What the queue cannot have is refused.
func TestImpossibleJobs(t *testing.T) {
	t.Parallel()
	good := testJobs(t)[1]
	spoiled := func(spoil func(*Job)) []byte {
		bad := good
		bad.Recipients = append([]Recipient(nil), good.Recipients...)
		spoil(&bad)
		return AppendJobs(nil, 0, []Job{bad})
	}
	probe := spoiled(func(j *Job) { j.Host, j.Relay, j.Facts.Origin = "", "", esmtp.FromClient })
	at := jobsHeader + len(good.ID) + 4 + len(good.Sender.String()) + 4 + 1 + 4
	if probe[at] != 1 {
		t.Fatalf("the byte at %d is %d", at, probe[at])
	}
	probe[at] = 2
	for name, packet := range map[string][]byte{
		"origin":          spoiled(func(j *Job) { j.Facts.Origin = 'X' }),
		"number":          bytes.Replace(spoiled(func(*Job) {}), good.ID[:], []byte("x"+good.ID.String()[1:]), 1),
		"sender":          bytes.Replace(spoiled(func(*Job) {}), []byte("s@example.org"), []byte("s@\nexample.or"), 1),
		"probe":           probe,
		"long host":       spoiled(func(j *Job) { j.Host = strings.Repeat("x", maxHost+1) }),
		"long relay":      spoiled(func(j *Job) { j.Relay = strings.Repeat("x", maxHost+1) }),
		"many recipients": spoiled(func(j *Job) { j.Recipients = make([]Recipient, MaxRecipients+1) }),
	} {
		if _, jobs, err := DecodeJobs(packet); err == nil {
			t.Errorf("%s was taken: %+v", name, jobs)
		}
	}
	for name, packet := range map[string][]byte{
		"longest host":    spoiled(func(j *Job) { j.Host = strings.Repeat("x", maxHost) }),
		"most recipients": spoiled(func(j *Job) { j.Recipients = make([]Recipient, MaxRecipients) }),
	} {
		if _, _, err := DecodeJobs(packet); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fits        func(count, size int) bool
		count, size int
		want        bool
	}{
		{JobsFit, MaxJobs, MaxPacket - jobsHeader, true}, {JobsFit, MaxJobs + 1, 0, false}, {JobsFit, 1, MaxPacket - jobsHeader + 1, false},
		{ResultsFit, 1<<16 - 1, MaxPacket - resultsHeader, true}, {ResultsFit, 1 << 16, 0, false}, {ResultsFit, 1, MaxPacket - resultsHeader + 1, false},
	} {
		if got := c.fits(c.count, c.size); got != c.want {
			t.Errorf("%d of %d bytes: %v", c.count, c.size, got)
		}
	}
}

// A message's file is closed once.
func TestCloseMessage(t *testing.T) {
	t.Parallel()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	m := Message{File: f}
	m.Close()
	if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) || m.File != nil {
		t.Errorf("%v, %v", err, m.File)
	}
	m.Close()
}
