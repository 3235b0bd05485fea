package progress

import (
	"errors"
	"fmt"
	"io/fs"

	"postrider/internal/queuedir"
)

// ErrFile marks a damaged progress file.
var ErrFile = errors.New("progress file")

func Read(l queuedir.Layout, id queuedir.ID, recipients int) (queuedir.Progress, error) {
	f, err := queuedir.OpenFile(l.Info(id))
	if errors.Is(err, fs.ErrNotExist) {
		return queuedir.Progress{Finished: queuedir.NewBitmap(recipients)}, nil
	}
	if err != nil {
		return queuedir.Progress{}, fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer f.Close()                                            // only read from
	if info, err := f.Stat(); err == nil && info.Size() == 0 { // the usual: all were deferred
		return queuedir.Progress{Finished: queuedir.NewBitmap(recipients)}, nil
	}
	p, err := queuedir.ReadProgress(f, recipients)
	if err != nil {
		return p, fmt.Errorf("%w: %s: %w", ErrFile, l.Info(id), err)
	}
	return p, nil
}
