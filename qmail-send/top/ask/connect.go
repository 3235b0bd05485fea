package ask

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/exposition"
	"postrider/internal/legible"
	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
	"postrider/qmail-send/top/readings"
	"postrider/qmail-send/top/wording"
)

// figuresTime is how long qmail-metrics may take to answer.
const figuresTime = 3 * time.Second

// maxHead bounds what comes before the figures.
const maxHead = 16 << 10

// ErrNoFigures says that nobody serves figures on this host.
var ErrNoFigures = errors.New("qmail-metrics does not run")

// Figures asks the socket at path, in HTTP/1.0, which is little enough to
// do without a library: the answer ends with the connection.
func Figures(path string, now func() time.Time) (readings.Reading, error) {
	body, err := get(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return readings.Reading{}, ErrNoFigures
	}
	if err != nil {
		return readings.Reading{}, fmt.Errorf("unable to read figures from %s: %w", path, err)
	}
	r, err := readings.Read(body, now())
	if err != nil {
		return readings.Reading{}, fmt.Errorf("figures of %s: %w", path, err)
	}
	return r, nil
}

func get(path string) (body string, err error) {
	c, err := net.DialTimeout("unix", path, figuresTime)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(figuresTime)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(c, exposition.MaxText+maxHead+1))
	if err != nil {
		return "", err
	}
	head, body, found := strings.Cut(string(answer), "\r\n\r\n")
	status, _, _ := strings.Cut(head, "\r\n")
	if word := strings.Fields(status); !found || len(word) < 2 || !strings.HasPrefix(word[0], "HTTP/1.") || word[1] != "200" {
		return "", fmt.Errorf("the answer is %q", wording.Cut(legible.ASCII(status), 80))
	}
	return body, nil
}

// Orders is what qmail-send says on its socket.
type Orders struct {
	At           time.Time
	Destinations []manage.Destination
	List         *Listing // if the figures do not say it
}

// Listing is a count of the queue.
type Listing struct {
	At     time.Time
	Phases map[manage.Phase]int
	Total  int
	Oldest time.Time
}

// Asker asks qmail-send, over one connection that lasts.
type Asker struct {
	Layout queuedir.Layout
	Now    func() time.Time
	client *manage.Client
}

// Times is how long answers took: for so long qmail-send may have done nothing
// else, and who asks again waits for a multiple of that.
type Times struct{ Destinations, List time.Duration }

// Ask has the destinations told, and all messages counted if count says so.
func (a *Asker) Ask(count bool) (o Orders, took Times, err error) {
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if a.client == nil {
		if a.client, err = manage.Dial(a.Layout.Manage()); err != nil {
			return o, took, err
		}
	}
	began := a.Now()
	err = a.client.Destinations(func(some []manage.Destination) error {
		o.Destinations = append(o.Destinations, some...)
		return nil
	})
	o.At = a.Now()
	took.Destinations = max(0, o.At.Sub(began))
	if err == nil && count {
		o.List, err = a.count()
		took.List = max(0, a.Now().Sub(o.At))
	}
	return o, took, err
}

// count goes through the list of all messages.
func (a *Asker) count() (*Listing, error) {
	l := &Listing{Phases: make(map[manage.Phase]int)}
	err := a.client.List(func(some []manage.State) error {
		for _, s := range some {
			l.Phases[s.Phase]++
			l.Total++
			if at := s.ID.Time(); l.Oldest.IsZero() || at.Before(l.Oldest) {
				l.Oldest = at
			}
		}
		return nil
	})
	l.At = a.Now()
	return l, err
}

func (a *Asker) Close() {
	if a.client != nil {
		a.client.Close()
		a.client = nil
	}
}
