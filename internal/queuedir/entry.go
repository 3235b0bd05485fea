package queuedir

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// MaxInlineBody is the largest body that is kept in the entry itself; a
// larger one is the file ID.body.
const MaxInlineBody = 64 << 10

var (
	// ErrTorn is returned for an entry whose end is missing or not a footer,
	// or whose body's file or its end is missing: a power cut left it before
	// anybody was told that it is safe.
	ErrTorn = errors.New("entry is torn")
	// ErrDamaged is returned for an entry with a footer whose content does
	// not fit to it.
	ErrDamaged = errors.New("entry is damaged")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC-32C of the bytes that gave crc, followed by b.
// Start with 0.
func Checksum(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }

// Footer ends an entry. It is one line of fixed length, numbers in
// hexadecimal digits:
//
//	postrider entry 1 inline  body=16 envelope=16 bodycrc=8 crc=8
//	postrider entry 1 outside body=16 envelope=16 bodycrc=8 crc=8
//
// where "outside" says that the body is the file ID.body, and crc is the
// CRC-32C of the envelope and of the footer up to "crc=". A later version may be
// of another length: it has another number, and is one line of at most 1 KiB.
type Footer struct {
	Inline       bool   // the body is in the entry, before the envelope
	BodySize     int64  // bytes
	EnvelopeSize int64  // bytes
	BodyCRC      uint32 // CRC-32C
	CRC          uint32 // of envelope and footer, as found by ParseFooter
}

const (
	footerInline  = "postrider entry 1 inline  body="
	footerOutside = "postrider entry 1 outside body="
	footerPrefix  = len(footerInline) + 16 + len(" envelope=") + 16 + len(" bodycrc=") + 8 + len(" crc=")
	// FooterSize is the length of a footer in bytes.
	FooterSize = footerPrefix + 8 + len("\n")
)

// AppendFooter appends f; envelopeCRC is the Checksum of the envelope.
func AppendFooter(b []byte, f Footer, envelopeCRC uint32) []byte {
	start := len(b)
	kind := footerOutside
	if f.Inline {
		kind = footerInline
	}
	b = fmt.Appendf(b, "%s%016x envelope=%016x bodycrc=%08x crc=", kind, f.BodySize, f.EnvelopeSize, f.BodyCRC)
	return fmt.Appendf(b, "%08x\n", Checksum(envelopeCRC, b[start:]))
}

// ParseFooter returns the footer that b is. It checks the form, not the CRC.
func ParseFooter(b []byte) (Footer, error) {
	if len(b) != FooterSize || b[FooterSize-1] != '\n' {
		return Footer{}, ErrTorn
	}
	var f Footer
	switch string(b[:len(footerInline)]) {
	case footerInline:
		f.Inline = true
	case footerOutside:
	default:
		return Footer{}, ErrTorn
	}
	p := footerParser{rest: b[len(footerInline):]}
	f.BodySize = int64(p.hex(16))
	p.literal(" envelope=")
	f.EnvelopeSize = int64(p.hex(16))
	p.literal(" bodycrc=")
	f.BodyCRC = uint32(p.hex(8))
	p.literal(" crc=")
	f.CRC = uint32(p.hex(8))
	if p.bad || f.BodySize < 0 || f.EnvelopeSize < 0 || f.Inline && f.BodySize > MaxInlineBody {
		return Footer{}, ErrTorn
	}
	return f, nil
}

type footerParser struct {
	rest []byte
	bad  bool
}

// hex takes lower-case digits only: one footer has one spelling.
func (p *footerParser) hex(digits int) uint64 {
	var v uint64
	for _, c := range p.rest[:digits] {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			p.bad = true
		}
	}
	p.rest = p.rest[digits:]
	return v
}

func (p *footerParser) literal(s string) {
	if string(p.rest[:len(s)]) != s {
		p.bad = true
	}
	p.rest = p.rest[len(s):]
}

// Entry is an accepted message, open for reading. Its footer and envelope
// were checked; its body is checked when it is taken.
type Entry struct {
	ID      ID
	Footer  Footer
	layout  Layout
	size    int64
	content io.ReaderAt // all of the entry
	text    []byte      // the same, if it is in memory
	f       *os.File    // the same, if it is not
	body    *os.File    // of an entry that was handed over
}

// maxInMemory is the largest entry that is read at once and kept in memory:
// it costs less than to keep it open.
const maxInMemory = 20 << 10

// OpenEntry opens the entry of id and checks its envelope and footer. The
// error is fs.ErrNotExist, ErrTorn, ErrDamaged, ErrNewer, ErrNotFile, or one of
// the system.
func OpenEntry(l Layout, id ID) (*Entry, error) {
	e := &Entry{ID: id, layout: l}
	if err := e.open(l.Entry(id)); err != nil {
		return nil, err
	}
	if err := e.check(); err != nil {
		e.Close()
		return nil, fmt.Errorf("%s: %w", l.Entry(id), err)
	}
	return e, nil
}

// EntryOf returns the entry of id that text is, checked as if it had been read
// from disk. Nobody may change text any more.
func EntryOf(id ID, text []byte) (*Entry, error) {
	e := &Entry{ID: id, size: int64(len(text)), text: text, content: bytes.NewReader(text)}
	return e, e.check()
}

// open opens the entry, and takes a short one into memory. It makes no os.File
// of that: those are offered to the poller, one system call and much garbage
// for each message.
func (e *Entry) open(path string) error {
	fd, err := retry(func() (int, error) { return unix.Open(path, openFlags, 0) })
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd) // only read from
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		_ = unix.Close(fd) // only read from
		return &fs.PathError{Op: "open", Path: path, Err: ErrNotFile}
	}
	e.size = st.Size
	if e.size > maxInMemory {
		e.f = os.NewFile(uintptr(fd), path)
		e.content = e.f
		return nil
	}
	defer unix.Close(fd) // only read from
	return e.take(fd, path)
}

// take takes all of a short entry into memory.
func (e *Entry) take(fd int, path string) error {
	e.text = make([]byte, e.size)
	for done := 0; done < len(e.text); {
		n, err := retry(func() (int, error) { return unix.Pread(fd, e.text[done:], int64(done)) })
		if err != nil {
			return &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return fmt.Errorf("%s: %w", path, ErrTorn) // it became shorter
		}
		done += n
	}
	e.content = bytes.NewReader(e.text)
	return nil
}

func retry(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}

func (e *Entry) check() (err error) {
	if e.size < int64(FooterSize) {
		return newerFooter(e.content, e.size, entryStart, ErrTorn)
	}
	var end [FooterSize]byte
	if _, err := e.content.ReadAt(end[:], e.size-int64(FooterSize)); err != nil {
		return readError(err)
	}
	e.Footer, err = ParseFooter(end[:])
	if err != nil {
		return newerFooter(e.content, e.size, entryStart, err)
	}
	if rest := e.size - int64(FooterSize) - e.inlineSize(); rest != e.Footer.EnvelopeSize {
		return ErrTorn
	}
	crc, err := e.envelopeChecksum()
	if err != nil {
		return readError(err)
	}
	if Checksum(crc, end[:footerPrefix]) != e.Footer.CRC {
		return fmt.Errorf("%w: checksum of the envelope", ErrDamaged)
	}
	return nil
}

func (e *Entry) envelopeChecksum() (uint32, error) {
	if e.text != nil {
		return Checksum(0, e.text[e.inlineSize():][:e.Footer.EnvelopeSize]), nil
	}
	return checksumOf(io.NewSectionReader(e.f, e.inlineSize(), e.Footer.EnvelopeSize))
}

// readError turns the end of a file that became shorter into ErrTorn.
func readError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrTorn
	}
	return err
}

func (e *Entry) inlineSize() int64 {
	if e.Footer.Inline {
		return e.Footer.BodySize
	}
	return 0
}

func checksumOf(r io.Reader) (uint32, error) {
	var crc uint32
	buf := make([]byte, 16<<10)
	for {
		n, err := r.Read(buf)
		crc = Checksum(crc, buf[:n])
		if err == io.EOF {
			return crc, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// Envelope returns a reader at the start of the envelope.
func (e *Entry) Envelope() (*EnvelopeReader, error) {
	r := io.NewSectionReader(e.content, e.inlineSize(), e.Footer.EnvelopeSize)
	return newEnvelopeReader(r, int(min(e.Footer.EnvelopeSize+1, envelopeBuffer)))
}

// CountRecipients reads the envelope through.
func (e *Entry) CountRecipients() (int, error) {
	envelope, err := e.Envelope()
	if err != nil {
		return 0, err
	}
	for n := 0; ; n++ {
		if _, err := envelope.Next(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return 0, err
		}
	}
}

// Body returns the body as a file of its own at offset 0 that ends where the
// message ends and holds nothing of the envelope: a sealed memfd for an
// inline body, whose checksum was compared; else a read-only open of ID.body,
// whose size was compared. The caller closes it.
func (e *Entry) Body() (*os.File, error) {
	if e.Footer.Inline {
		return e.inlineBody()
	}
	f, err := e.openBody()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is missing", ErrTorn, e.layout.Body(e.ID))
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != e.Footer.BodySize {
		kind := ErrDamaged
		if info.Size() < e.Footer.BodySize {
			kind = ErrTorn
		}
		err = fmt.Errorf("%w: %s has %d bytes, not %d", kind, f.Name(), info.Size(), e.Footer.BodySize)
	}
	if err != nil {
		_ = f.Close() // only read from
		return nil, err
	}
	return f, nil
}

func (e *Entry) inlineBody() (*os.File, error) {
	body, err := e.Bytes()
	if err != nil {
		return nil, err
	}
	return Memfd(body)
}

// Bytes returns an inline body, whose checksum was compared. Nobody may change
// it.
func (e *Entry) Bytes() ([]byte, error) {
	if !e.Footer.Inline {
		return nil, fmt.Errorf("%w: %s: the body is not in it", ErrDamaged, e.layout.Entry(e.ID))
	}
	var body []byte
	if e.text != nil {
		body = e.text[:e.Footer.BodySize]
	} else {
		body = make([]byte, e.Footer.BodySize)
		if _, err := e.f.ReadAt(body, 0); err != nil && len(body) > 0 {
			return nil, readError(err)
		}
	}
	if Checksum(0, body) != e.Footer.BodyCRC {
		return nil, fmt.Errorf("%w: %s: checksum of the body", ErrDamaged, e.layout.Entry(e.ID))
	}
	return body, nil
}

// CheckBody compares the checksum of the body.
func (e *Entry) CheckBody() error {
	if e.Footer.Inline {
		_, err := e.Bytes()
		return err
	}
	f, err := e.Body()
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	crc, err := checksumOf(f)
	if err != nil {
		return err
	}
	if crc != e.Footer.BodyCRC {
		return fmt.Errorf("%w: %s: checksum of the body", ErrDamaged, f.Name())
	}
	return nil
}

// Close frees the entry's descriptor; the files that Body returned stay.
func (e *Entry) Close() {
	if e.f != nil {
		_ = e.f.Close() // only read from
	}
}

const sealed = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// Memfd returns a file in memory at offset 0 that holds body and that nobody
// can change any more.
func Memfd(body []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("message", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // before Linux 6.3
		fd, err = unix.MemfdCreate("message", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "message")
	_, err = f.WriteAt(body, 0)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, sealed)
	}
	if err != nil {
		_ = f.Close() // given up
		return nil, err
	}
	return f, nil
}
