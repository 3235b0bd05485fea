package queuectl

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/precedence"
	"postrider/internal/queuedir"
)

// convert makes an item of a message of qmail; nil if nothing is left to do for
// it.
func (q *classicQueue) convert(m classicMessage, now time.Time) (*item, error) {
	e, err := q.read(m)
	if err != nil {
		return nil, err
	}
	bounce, err := q.bounce(m.number)
	if err != nil {
		return nil, err
	}
	left := 0
	for _, r := range e.recipients {
		if !r.done {
			left++
		}
	}
	if left == 0 && len(bounce) == 0 {
		return nil, nil
	}
	body, err := os.OpenFile(filepath.Join(q.dir, "mess", m.mess), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	it, err := e.item(m, body, bounce, now)
	if err != nil {
		_ = body.Close() // only read from
		return nil, err
	}
	return it, nil
}

// item is the message with envelope e.
func (e *envelope) item(m classicMessage, body *os.File, bounce []paragraph, now time.Time) (*item, error) {
	if e.uid == 0 {
		e.uid = invoker(body)
	}
	if e.born.After(now) {
		e.born = now
	}
	it := &item{key: m.number, id: classicID(m.number, e.born), due: e.due, close: func() { _ = body.Close() }}
	head := queuedir.Head{Sender: e.sender, UID: e.uid, Arrived: it.id.Time()}
	_, _ = rand.Read(head.Nonce[:]) // never fails
	progress := []byte{}            // an empty file: it was tried, and all were deferred
	var done []int
	var err error
	if head.Bulk, err = saysBulk(body); err != nil {
		return nil, err
	}
	env := queuedir.AppendHead(nil, head)
	add := func(recipient string) error {
		to, err := address.New(recipient)
		if err != nil {
			return fmt.Errorf("recipient %q: %w", recipient, err)
		}
		env = queuedir.AppendRecipient(env, to)
		return nil
	}
	for i, r := range e.recipients {
		if err := add(r.address); err != nil {
			return nil, err
		}
		if !r.done {
			continue
		}
		if p := take(bounce, r.address); p != nil {
			progress = queuedir.AppendFailed(progress, i, now, p.text)
		} else {
			done = append(done, i)
		}
	}
	// Those of files that are gone already.
	for i, n := range bounce {
		if !n.taken {
			if err := add(n.recipient); err != nil {
				return nil, err
			}
			progress = queuedir.AppendFailed(progress, len(e.recipients)+untaken(bounce[:i]), now, n.text)
		}
	}
	it.progress = queuedir.AppendDelivered(progress, done)
	if m.todo != "" {
		it.progress = nil
	}
	return it, it.write(body, env)
}

// classicID is the number of a message: the same each time. Of its birth seconds
// are known.
func classicID(number string, born time.Time) queuedir.ID {
	n, _ := strconv.ParseUint(number, 10, 64) // isNumber
	return queuedir.NewID(time.Unix(born.Unix(), int64(n%1e6)*1000), int(n/1e6%100), int(n%queuedir.Buckets))
}

// saysBulk looks at the header of a message, as qmail-spool does at that of one
// which it takes.
func saysBulk(body io.ReaderAt) (bool, error) {
	var look precedence.Look
	_, err := io.Copy(&look, io.NewSectionReader(body, 0, maxHeader))
	return look.Bulk(), err
}

// write makes entry and body.
func (it *item) write(body *os.File, env []byte) error {
	crc := uint32(0)
	size := int64(0)
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		crc = queuedir.Checksum(crc, buf[:n])
		size += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	f := queuedir.Footer{Inline: size <= queuedir.MaxInlineBody, BodySize: size, EnvelopeSize: int64(len(env)), BodyCRC: crc}
	tail := queuedir.AppendFooter(env, f, queuedir.Checksum(0, env))
	message := io.NewSectionReader(body, 0, size)
	if f.Inline {
		it.entry = io.MultiReader(message, bytes.NewReader(tail))
	} else {
		it.entry, it.body = bytes.NewReader(tail), message
	}
	return nil
}

// paragraph is what is to be told of a recipient.
type paragraph struct {
	recipient, text string
	taken           bool
}

func untaken(list []paragraph) (n int) {
	for _, p := range list {
		if !p.taken {
			n++
		}
	}
	return n
}

// take returns the paragraph of a recipient.
func take(list []paragraph, recipient string) *paragraph {
	for i := range list {
		if p := &list[i]; !p.taken && p.recipient == recipient {
			p.taken = true
			return p
		}
	}
	return nil
}

// maxBounce bounds what is read of bounce/N.
const maxBounce = 16 << 20

// bounce reads bounce/N: "<recipient>:", a report, an empty line, for each.
func (q *classicQueue) bounce(number string) (list []paragraph, err error) {
	f, err := os.OpenFile(filepath.Join(q.dir, "bounce", number), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from
	text, err := io.ReadAll(io.LimitReader(f, maxBounce))
	if err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(string(text), "\n\n") {
		if part == "" {
			continue
		}
		first, _, _ := strings.Cut(part, "\n")
		to, isOne := strings.CutSuffix(strings.TrimPrefix(first, "<"), ">:")
		if !isOne { // torn by a crash
			to = "unknown"
			part = "<unknown>:\n" + part
		}
		list = append(list, paragraph{recipient: to, text: strings.TrimRight(part, "\n") + "\n\n"})
	}
	return list, nil
}

// invoker returns who handed in a message, as its first line says; 0 if it
// came from elsewhere.
func invoker(body io.ReaderAt) uint32 {
	line, _ := bufio.NewReader(io.NewSectionReader(body, 0, 200)).ReadString('\n')
	before, rest, found := strings.Cut(line, " invoked by uid ")
	digits, _, closed := strings.Cut(rest, ")")
	if !found || !closed || !strings.HasPrefix(before, "Received: (qmail ") {
		return 0
	}
	uid, _ := strconv.ParseUint(digits, 10, 32) // not a number: 0
	return uint32(uid)
}
