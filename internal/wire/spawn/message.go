package spawn

import (
	"fmt"
	"os"

	"postrider/internal/wire/codec"
)

// MaxInline is the largest message that goes in the packet itself.
const MaxInline = 16 << 10

// Message is the message of a job. In a packet it is one byte of form: B, the
// length (32 bits) and the bytes; or F: it is the next descriptor.
type Message struct {
	Bytes  []byte   // all of it, unless ByFile
	ByFile bool     // it is larger than MaxInline
	File   *os.File // if ByFile and on this side of the link: open at offset 0
}

// MessageSize returns the bytes that m takes in a packet.
func MessageSize(m Message) int {
	if m.ByFile {
		return 1
	}
	return 1 + 4 + len(m.Bytes)
}

// AppendMessage appends m; a File is for the caller to send along.
func AppendMessage(b []byte, m Message) []byte {
	if m.ByFile {
		return append(b, 'F')
	}
	return codec.AppendBytes(append(b, 'B'), m.Bytes)
}

// ReadMessage takes a message off a packet, of which it keeps nothing.
func ReadMessage(r *codec.Reader) Message {
	switch form := r.Uint8(); form {
	case 'F':
		return Message{ByFile: true}
	case 'B':
		return Message{Bytes: append([]byte(nil), r.Blob(MaxInline)...)}
	default:
		r.Fail(fmt.Errorf("message of form %q", form))
	}
	return Message{}
}

// Close closes the file, which was only read from, if there is one.
func (m *Message) Close() {
	if m.File != nil {
		_ = m.File.Close()
		m.File = nil
	}
}

// Attach gives descriptors that came with a packet to those messages of it
// that are files. It fails if their numbers differ; the files then stay the
// caller's.
func Attach(messages []*Message, files []*os.File) error {
	wanted := 0
	for _, m := range messages {
		if m.ByFile {
			wanted++
		}
	}
	if wanted != len(files) {
		return fmt.Errorf("spawn protocol: %d messages by descriptor with %d descriptors", wanted, len(files))
	}
	for _, m := range messages {
		if m.ByFile {
			m.File, files = files[0], files[1:]
		}
	}
	return nil
}
