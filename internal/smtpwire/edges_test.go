package smtpwire

import (
	"strings"
	"testing"
)

// TestChunksForgetTheirCR: a CR at the end of a chunk takes the LF that follows
// it, and no later one.
func TestChunksForgetTheirCR(t *testing.T) {
	t.Parallel()
	var d ChunkDecoder
	var got []byte
	for _, chunk := range []string{"a\r", "", "\nb", "\nc", "\r\n", "\nd"} {
		got = d.Append(got, []byte(chunk))
	}
	if want := "a\nb\nc\n\nd"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	got = d.AppendEnd(d.AppendEnd(got[:0]))
	if string(got) != "\n" {
		t.Errorf("the last line ends with %q", got)
	}
}

// TestReplyEdges: the largest code and the longest reply are taken, and what is
// beyond them is not.
func TestReplyEdges(t *testing.T) {
	t.Parallel()
	reply, err := NewReplyReader(strings.NewReader("599 no\r\n")).Next()
	if reply.Code != 599 || err != nil {
		t.Errorf("%+v, %v", reply, err)
	}
	const last = "250 x\r\n"
	for beyond, want := range map[int]error{0: nil, 1: ErrReplyTooLong} {
		line := "250-" + strings.Repeat("y", MaxReply+beyond-len("250-\r\n")-len(last)) + "\r\n"
		if _, err := NewReplyReader(strings.NewReader(line + last)).Next(); err != want {
			t.Errorf("%d bytes beyond the longest reply: %v", beyond, err)
		}
	}
}
