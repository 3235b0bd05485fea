package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"postrider/internal/bench/load"
	"postrider/internal/testhost"
)

// startSink plays the next host for n messages: smtp-sink where it is there.
// arrived waits for the last and returns when it came.
func (t *turn) startSink(ctx context.Context, n int) (arrived func(context.Context) (time.Time, error), stop func(), err error) {
	if t.y.tools != "" {
		return t.startSMTPSink(ctx, n)
	}
	sink, err := t.y.load(load.Order{Do: load.Sink, Server: sinkServer, Messages: n})
	if err != nil {
		return nil, nil, err
	}
	stop = func() { _ = sink.end(ctx) } // what matters was said
	if _, err := sink.answer(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	return func(ctx context.Context) (time.Time, error) {
		a, err := sink.answer(ctx)
		return a.Ended, err
	}, stop, nil
}

// startSMTPSink counts by what smtp-sink -c writes.
func (t *turn) startSMTPSink(ctx context.Context, n int) (arrived func(context.Context) (time.Time, error), stop func(), err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	defer null.Close()
	counted, counts, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	sink, err := t.y.host.Start(testhost.Command{
		Argv:  []string{"chroot", t.y.tools, "smtp-sink", "-u", "nobody", "-c", sinkServer, "1000"},
		Files: []*os.File{null, counts, null},
	})
	counts.Close()
	if err != nil {
		counted.Close()
		return nil, nil, err
	}
	last := make(chan time.Time, 1)
	go watchCount(counted, n, last)
	stop = func() {
		_ = sink.SignalGroup(syscall.SIGTERM) // or it has ended
		_, _ = sink.Wait(ctx)
	}
	// A sink that does not listen yet would defer mail for minutes.
	if err := t.y.listening(ctx, sinkServer); err != nil {
		stop()
		return nil, nil, err
	}
	return func(ctx context.Context) (time.Time, error) {
		select {
		case when := <-last:
			return when, nil
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("not all of %d messages reached the sink: %w\n%s", n, ctx.Err(), t.p.logTail())
		}
	}, stop, nil
}

var mesg = regexp.MustCompile(`mesg=(\d+)`)

// watchCount reads the counters, which come with CR in between, until the sink
// ends.
func watchCount(counted *os.File, n int, last chan<- time.Time) {
	defer counted.Close()
	lines := bufio.NewScanner(counted)
	lines.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
			return i + 1, data[:i], nil
		}
		return 0, nil, nil
	})
	reached := false
	for lines.Scan() {
		m := mesg.FindSubmatch(lines.Bytes())
		if m == nil || reached {
			continue
		}
		if got, err := strconv.Atoi(string(m[1])); err == nil && got >= n {
			reached = true
			last <- time.Now()
		}
	}
}

// listening waits until somebody greets at the address.
func (y *yard) listening(ctx context.Context, address string) error {
	for {
		c, err := y.host.SMTP(ctx, address)
		if err == nil {
			return c.Quit()
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
