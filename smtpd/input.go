package smtpd

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

const (
	// idleBuffer is what a session reads into while it waits for a command.
	idleBuffer = 1 << 10
	// maxLine is the longest command line: an address of maxPath octets, each
	// behind a backslash, with its parameters (RFC 5321 section 4.5.3.1.4 asks
	// for 512 octets and more for each extension).
	maxLine = 4 << 10
	// maxAuthLine is the longest line of AUTH (RFC 4954 section 4).
	maxAuthLine = 12288
)

var (
	errLineTooLong = errors.New("command line too long")
	errNoMemory    = errors.New("no memory to lend")
)

// conn is the network side of a session.
type conn interface {
	io.Reader
	io.Writer
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	// pending reports whether octets have arrived that were not read yet.
	pending() bool
}

// input holds what was read from the client and not used yet.
type input struct {
	conn   conn
	lent   *budget
	buf    []byte // buf[at:] is unused input
	at     int
	small  []byte // the buffer of an idle session
	skips  bool   // the rest of an overlong line is being skipped
	filled bool   // the last read took all that there was room for
	looked int    // octets of buf[at:] known to hold no LF
	long   bool   // an AUTH command may be longer than others
	inAuth bool   // the next line is one of an exchange of AUTH
}

func newInput(c conn, lent *budget) input {
	small := make([]byte, 0, idleBuffer)
	return input{conn: c, lent: lent, buf: small, small: small}
}

// unused returns the input that is there.
func (in *input) unused() []byte { return in.buf[in.at:] }

// use marks n octets as used.
func (in *input) use(n int) {
	in.at += n
	in.looked = 0
	if in.at == len(in.buf) {
		in.at, in.buf = 0, in.buf[:0]
	}
}

// line returns the next command line without its end, if it is there. An
// overlong one is errLineTooLong once its end was found; nothing of it is used
// as a command.
func (in *input) line() (line []byte, found bool, err error) {
	unused := in.unused()
	lf := bytes.IndexByte(unused[in.looked:], '\n')
	if lf < 0 {
		in.looked = len(unused)
		if in.skips || len(unused) >= in.limit(unused) {
			in.skips = true
			in.use(len(unused))
		}
		return nil, false, nil
	}
	line = unused[:in.looked+lf]
	in.use(len(line) + 1)
	if in.skips || len(line) >= in.limit(line) {
		in.skips = false
		return nil, true, errLineTooLong
	}
	return bytes.TrimSuffix(line, []byte{'\r'}), true, nil
}

// limit is how long the line may be that begins so.
func (in *input) limit(line []byte) int {
	const auth = "AUTH "
	if in.inAuth || in.long && len(line) > len(auth) && strings.EqualFold(string(line[:len(auth)]), auth) {
		return maxAuthLine
	}
	return maxLine
}

// fill reads once, behind what is unused.
func (in *input) fill() error {
	if in.at > 0 {
		in.buf = in.buf[:copy(in.buf, in.buf[in.at:])]
		in.at = 0
	}
	if len(in.buf) == cap(in.buf) {
		if !in.widenFull() {
			return errNoMemory
		}
	}
	n, err := in.conn.Read(in.buf[len(in.buf):cap(in.buf)])
	in.buf = in.buf[:len(in.buf)+n]
	in.filled = len(in.buf) == cap(in.buf)
	if n > 0 {
		return nil
	}
	return err
}

// widen exchanges the idle buffer for a borrowed one. Widened input needs no
// more room but for a line of AUTH: maxLine fits, and message text is used as it
// comes.
func (in *input) widen() bool {
	if cap(in.buf) >= smallBuffer {
		return true
	}
	wide := in.lent.borrow(smallBuffer)
	if wide == nil {
		return false
	}
	in.buf, in.at = append(wide, in.unused()...), 0
	return true
}

// widenFull makes room behind input that fills its buffer.
func (in *input) widenFull() bool {
	if cap(in.buf) < smallBuffer {
		return in.widen()
	}
	wide := in.lent.borrow(largeBuffer)
	if wide == nil {
		return false
	}
	full := in.buf
	in.buf = append(wide, full...)
	in.lent.back(full)
	return true
}

// enlarge exchanges an empty borrowed buffer for a large one, if there is room:
// a large message then takes fewer reads.
func (in *input) enlarge() {
	if cap(in.buf) != smallBuffer || len(in.unused()) > 0 {
		return
	}
	if large := in.lent.borrow(largeBuffer); large != nil {
		in.lent.back(in.buf)
		in.buf, in.at = large, 0
	}
}

// narrow gives a borrowed buffer back as soon as the idle one is enough.
func (in *input) narrow() {
	if cap(in.buf) == cap(in.small) || len(in.unused()) > cap(in.small) {
		return
	}
	wide := in.buf
	in.buf, in.at = append(in.small[:0], in.unused()...), 0
	in.lent.back(wide)
}

// free gives back whatever is borrowed; the session is over.
func (in *input) free() {
	in.use(len(in.unused()))
	in.narrow()
}

// waiting reports whether the client has sent more than what was used: in
// the buffer, or not read yet.
func (in *input) waiting() bool { return len(in.unused()) > 0 || in.conn.pending() }

// isTimeout reports whether a read ended because of its deadline.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
