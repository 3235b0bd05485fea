package smtpwire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const (
	// MaxReply is the most bytes of one reply: more is ErrReplyTooLong.
	MaxReply = 64 << 10
	// MaxReplyText is how much of a reply's text is kept.
	MaxReplyText = 5000

	replyBuffer = 4096 // one read; also bounds what is held of one line
)

var (
	// ErrReplyTooLong is returned for a reply of more than MaxReply bytes.
	ErrReplyTooLong = errors.New("reply is too long")
	// ErrReplyMalformed is returned for what is no reply of RFC 5321 section
	// 4.2: no code from 200 to 599, or another code on a later line.
	ErrReplyMalformed = errors.New("reply is malformed")
)

// Reply is what a server answered to one command.
type Reply struct {
	Code int
	// Text is all lines with their codes, each ended by LF, CR removed and
	// NUL replaced by "?", cut after MaxReplyText bytes.
	Text string
}

// ReplyReader reads the replies of a server. Its input is hostile: it takes
// time linear in the input and holds no more than replyBuffer and
// MaxReplyText bytes.
type ReplyReader struct {
	r *bufio.Reader
}

// NewReplyReader returns a reader of the replies that arrive on r.
func NewReplyReader(r io.Reader) *ReplyReader {
	return &ReplyReader{r: bufio.NewReaderSize(r, replyBuffer)}
}

// Buffered returns how many bytes have arrived behind the last reply: without
// a command outstanding there should be none.
func (r *ReplyReader) Buffered() int { return r.r.Buffered() }

// Next reads one reply. Together with an error it returns what had arrived of
// it. The end of the connection is io.EOF before a reply and
// io.ErrUnexpectedEOF inside one.
func (r *ReplyReader) Next() (Reply, error) {
	var reply Reply
	var text []byte
	total := 0
	for first := true; ; first = false {
		head, err := r.line(&text, &total)
		if err != nil {
			if err == io.EOF && total > 0 {
				err = io.ErrUnexpectedEOF
			}
			reply.Text = string(text)
			return reply, err
		}
		code, last, ok := parseHead(head)
		if first {
			reply.Code = code
		}
		switch {
		case !ok && !first:
			// Text without a code in the middle of a reply: some servers
			// wrap long greetings so. The last line has its code.
			continue
		case !ok, code != reply.Code:
			return Reply{Text: string(text)}, ErrReplyMalformed
		case last:
			reply.Text = string(text)
			return reply, nil
		}
	}
}

// line reads one line, appends what there is room for to text and returns the
// first bytes of it, at most four, without line end.
func (r *ReplyReader) line(text *[]byte, total *int) (head string, err error) {
	for start := true; ; start = false {
		piece, err := r.r.ReadSlice('\n')
		*total += len(piece)
		*text = appendText(*text, piece)
		if start {
			head = string(bytes.TrimRight(piece[:min(4, len(piece))], "\r\n"))
		}
		switch {
		case *total > MaxReply:
			return "", ErrReplyTooLong
		case err == nil:
			return head, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		}
	}
}

// parseHead takes apart the code of a line and the byte behind it.
func parseHead(head string) (code int, last, ok bool) {
	if len(head) < 3 || head[0] < '2' || head[0] > '5' || !isDigit(head[1]) || !isDigit(head[2]) {
		return 0, false, false
	}
	code = int(head[0]-'0')*100 + int(head[1]-'0')*10 + int(head[2]-'0')
	return code, len(head) == 3 || head[3] != '-', true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func appendText(text, piece []byte) []byte {
	for _, c := range piece {
		if len(text) == MaxReplyText {
			break
		}
		switch c {
		case '\r':
			continue
		case 0:
			c = '?'
		}
		text = append(text, c)
	}
	return text
}
