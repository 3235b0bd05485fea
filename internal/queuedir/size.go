package queuedir

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ErrHuge is returned for a progress file that is longer than any message can
// make it. It is not read: whoever reads it waits for the disk, and others wait
// for him. It says nothing about the message.
var ErrHuge = errors.New("progress file is too long")

const (
	// What operators may order about a message, and what a recipient may have:
	// a failure and some reports of delays.
	progressOfMessage   = 16 << 20
	progressOfRecipient = 2 * maxProgressLine
	// maxProgressFile is the longest of all.
	maxProgressFile = 1 << 30
	// maxHoles is how many holes of a long file are looked at.
	maxHoles = 1000
)

// progressLimit is how long the progress file of a message may be.
func progressLimit(recipients int) int64 {
	return min(maxProgressFile, progressOfMessage+int64(recipients)*progressOfRecipient)
}

// lines returns a reader of lines. Of a file it reads what is there now: most are
// much shorter than the longest line, and there may be very many. A hole at the
// end of a long one is not read.
func lines(r io.Reader, limit int64) (*bufio.Reader, error) {
	f, ok := r.(*os.File)
	if !ok {
		return bufio.NewReaderSize(r, maxProgressLine), nil
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if size > limit && info.Mode().IsRegular() {
		if size, err = dataEnd(f, size); err != nil {
			return nil, err
		}
		if size > limit {
			return nil, fmt.Errorf("%w: it has %d bytes, and at most %d are read: move it away; "+
				"recipients who have the message then get it again", ErrHuge, size, limit)
		}
	}
	return bufio.NewReaderSize(io.LimitReader(f, size), int(min(size+1, maxProgressLine))), nil
}

// dataEnd returns where the data of a file ends, behind which there is a hole.
func dataEnd(f *os.File, size int64) (end int64, err error) {
	for range maxHoles {
		data, err := f.Seek(end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			_, err = f.Seek(0, io.SeekStart)
			return end, err
		}
		if err != nil {
			return size, nil // the file system knows of no holes
		}
		if end, err = f.Seek(data, unix.SEEK_HOLE); err != nil {
			return size, err
		}
	}
	return size, nil
}
