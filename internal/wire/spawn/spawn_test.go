package spawn

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"postrider/internal/address"
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
		{ID: id, Sender: mustAddress(t, ""), Recipients: []Recipient{{1, mustAddress(t, "joe@example.org")}}},
		{ID: id, Sender: mustAddress(t, "s@example.org"), Host: "example.com", Recipients: []Recipient{
			{2, mustAddress(t, "a@example.com")}, {1 << 40, mustAddress(t, "b@example.com")},
		}},
	}
}

func TestJobsRoundTrip(t *testing.T) {
	t.Parallel()
	jobs := testJobs(t)
	packet := AppendJobs(nil, 10, jobs)
	size := JobSize(jobs[0]) + JobSize(jobs[1])
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
}

func TestResultsRoundTrip(t *testing.T) {
	t.Parallel()
	results := []Result{{1, Success, "did 1+0+0\n"}, {2, Deferral, ""}, {3, Failure, "no\nmailbox\n"}}
	packet := AppendResults(nil, results)
	got, err := DecodeResults(packet)
	if err != nil || !reflect.DeepEqual(got, results) {
		t.Errorf("got %+v, %v", got, err)
	}
	for n := range packet {
		if _, err := DecodeResults(packet[:n]); err == nil {
			t.Errorf("cut at %d was taken", n)
		}
	}
	long := Result{Delivery: 1, Class: Failure, Text: strings.Repeat("x", MaxText+1)}
	packet = AppendResults(nil, []Result{long})
	if len(packet) != resultsHeader+ResultSize(long) {
		t.Errorf("ResultSize of a long text is wrong")
	}
	if got, err := DecodeResults(packet); err != nil || len(got[0].Text) != MaxText {
		t.Errorf("long text: %v", err)
	}
	for _, bad := range []string{"R\x00\x00", "R\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01X\x00\x00\x00\x00", "J\x00\x01"} {
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
	f.Add(AppendResults(nil, []Result{{1, Success, "ok"}, {2, Failure, "no\n"}}))
	f.Fuzz(func(t *testing.T, packet []byte) {
		results, err := DecodeResults(packet)
		if err == nil && !bytes.Equal(AppendResults(nil, results), packet) {
			t.Errorf("%q does not come back", packet)
		}
	})
}
