package qmtp

import (
	"slices"
	"strings"
	"testing"
)

// qmqpVector is that of spec appendix A, item 11.
const qmqpVector = "26:3:hi\n,3:s@x,10:a@b.c.defg,,"

const qmqpQueued = `Fs@x Ta@b.c.defg "hi\n"`

func TestQMQPVector(t *testing.T) {
	t.Parallel()
	for i := range len(qmqpVector) + 1 {
		o := converse(t, qmqpProtocol, nil, qmqpVector[:i], qmqpVector[i:]+"more")
		if o.answers != encoded(ok) || o.err != nil || !slices.Equal(o.queued, []string{qmqpQueued}) {
			t.Errorf("split at %d: %+v", i, o)
		}
	}
	for i := range len(qmqpVector) {
		want := errHungUp
		if i == 0 {
			want = nil
		}
		if o := converse(t, qmqpProtocol, nil, qmqpVector[:i]); o.answers != "" || o.err != want || len(o.queued) != 0 {
			t.Errorf("cut at %d: %+v", i, o)
		}
	}
}

func TestQMQP(t *testing.T) {
	t.Parallel()
	const bad = "Dsorry, I can't accept addresses like that (#5.1.3)"
	long := strings.Repeat("x", maxAddress)
	for _, c := range []struct {
		name, text, want, queued string
		err                      error
	}{
		{"anybody", request("hi\n", "", "a@no.rcpthost", "b"), ok, `F Ta@no.rcpthost Tb "hi\n"`, nil},
		{"an empty message", request("", "s@x", "a"), ok, `Fs@x Ta ""`, nil},
		{"octets stay", request("\r\n\x00", "s@x", "a"), ok, `Fs@x Ta "\r\n\x00"`, nil},
		{"no recipient", request("x", "s@x"), ok, `Fs@x "x"`, nil},
		{"the longest address", request("x", long, long), ok, "F" + long + " T" + long + ` "x"`, nil},
		{"a longer sender", request("x", long+"x", "a"), bad, "", nil},
		{"a longer recipient", request("x", "s", "a", long+"x", "b"), bad, "", nil},
		{"NUL", request("x", "s", "a\x00b"), bad, "", nil},
		{"LF", request("x", "s", "a\nTb"), bad, "", nil},
		{"too many recipients", request("x", "s", "a", "b", "c", "d"), "Dsorry, that message has too many recipients (#5.5.3)", "", nil},
		{"a loop", request(strings.Repeat("Delivered-To: x\n", 100), "s", "a"), "Dtoo many hops, this message is looping (#5.4.6)", "", nil},
		{"nothing in it", "0:,", "", "", errProtocol},
		{"no sender", "4:1:x,,", "", "", errProtocol},
		{"the message is longer than all", "4:9:x,,", "", "", errProtocol},
		{"more behind the recipients", "13:1:x,1:s,1:a,z,", "", "", errProtocol},
		{"no comma at the end", strings.TrimSuffix(request("x", "s", "a"), ",") + ";", "", "", errProtocol},
		{"QMTP", vector, "", "", errProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := converse(t, qmqpProtocol, map[string]string{"maxrcpt": "3\n", "rcpthosts": "-"}, c.text)
			want := ""
			if c.want != "" {
				want = encoded(c.want)
			}
			queued := strings.Join(o.queued, "|")
			if o.answers != want || o.err != c.err || queued != c.queued {
				t.Errorf("got %+v", o)
			}
		})
	}
}
