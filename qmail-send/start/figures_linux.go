package start

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/figures"
	"postrider/internal/handover"
	"postrider/internal/priv"
	"postrider/internal/wire/parent"
)

// reader is the program that reads what the others count.
const reader = "qmail-metrics"

// area is the memory in which the processes of one place of the plan count, one
// after the other. It stays when they end.
type area struct {
	number int
	name   string // of the place
	file   *os.File
	read   *os.File // the same, and nothing can be written through it
	of     *member  // nil: nobody works there
}

// areas are all of them. Those who serve clients may have several in one place:
// a process that finishes its sessions still counts in its own.
type areas struct {
	own   figures.Counts // in the first one, which is of qmail-start
	list  []*area
	spare []handover.Area // of the predecessor, for who runs
}

// openAreas makes the areas of the suite, or takes over those of a predecessor. An
// error says that nothing is counted: mail does not need it.
func (s *supervisor) openAreas(handed []handover.Area) error {
	c := &areas{}
	for _, a := range handed {
		if a.Layout == figures.Layout() {
			c.spare = append(c.spare, a)
		} else {
			_ = unix.Close(a.FD) // whoever counts there has it; nobody reads it any more
		}
	}
	own, err := c.find("qmail-start", func(a handover.Area) bool { return a.Name == "qmail-start" })
	if err != nil {
		return err
	}
	if err := c.own.Use(figures.Layout(), own.file); err != nil {
		return err
	}
	for number := range figures.MaxAreas {
		c.own.Live(number, number == own.number)
	}
	c.own.Set(figures.StartTime, 0, s.clock.Now().Unix())
	s.areas = c
	return nil
}

// find returns the area that the predecessor has left, or a new one.
func (c *areas) find(name string, fits func(handover.Area) bool) (*area, error) {
	if len(c.list) >= figures.MaxAreas {
		return nil, fmt.Errorf("there are %d areas of figures already", len(c.list))
	}
	var f *os.File
	var err error
	if i := slices.IndexFunc(c.spare, fits); i >= 0 {
		f, err = takeFile(c.spare[i].FD, "figures "+name)
		c.spare = slices.Delete(c.spare, i, i+1)
	} else {
		f, err = figures.NewArea(name)
	}
	if err != nil {
		return nil, err
	}
	read, err := figures.ReadOnly(f)
	if err != nil {
		_ = f.Close() // nothing was counted
		return nil, err
	}
	a := &area{number: len(c.list), name: name, file: f, read: read}
	c.list = append(c.list, a)
	return a, nil
}

// assign gives a process that was started a place to count in.
func (s *supervisor) assign(m *member) {
	if s.areas == nil || !figures.CountedBy(m.role.Program) {
		return
	}
	i := slices.IndexFunc(s.areas.list, func(a *area) bool { return a.of == nil && a.name == m.name })
	if i >= 0 {
		s.occupy(s.areas.list[i], m)
	} else if a, err := s.areas.find(m.name, func(a handover.Area) bool { return a.Name == m.name && a.PID == 0 }); err != nil {
		s.log(fmt.Sprintf("qmail-start: warning: %s (pid %d) counts nothing: %v", m.name, m.proc.pid(), err))
		return
	} else {
		s.occupy(a, m)
		s.showArea(a)
	}
	a := s.areaOf(m)
	s.give(m, parent.Frame{Kind: parent.Figures, Name: figures.Layout(), File: a.file})
}

// occupy notes that a member works in an area.
func (s *supervisor) occupy(a *area, m *member) {
	a.of = m
	s.areas.own.Live(a.number, true)
}

// vacate notes that the process of a member does not count any more.
func (s *supervisor) vacate(m *member) {
	if a := s.areaOf(m); a != nil {
		a.of = nil
		s.areas.own.Live(a.number, false)
	}
}

// areaOf returns where a member works, or nil.
func (s *supervisor) areaOf(m *member) *area {
	if s.areas == nil {
		return nil
	}
	i := slices.IndexFunc(s.areas.list, func(a *area) bool { return a.of == m })
	if i < 0 || m == nil {
		return nil
	}
	return s.areas.list[i]
}

// passArea notes that the process of a member is another one's now.
func (s *supervisor) passArea(m, to *member) {
	if a := s.areaOf(m); a != nil {
		a.of = to
	}
}

// takeArea finds the area in which a process of the predecessor counts.
func (s *supervisor) takeArea(m *member) {
	if s.areas == nil {
		return
	}
	counts := func(a handover.Area) bool { return a.PID == m.proc.pid() }
	if !slices.ContainsFunc(s.areas.spare, counts) {
		return
	}
	a, err := s.areas.find(m.name, counts)
	if err != nil {
		s.log(fmt.Sprintf("qmail-start: warning: figures of %s (pid %d) are lost: %v", m.name, m.proc.pid(), err))
		return
	}
	s.occupy(a, m)
}

// takeRest takes over the areas in which nobody works: their counters go on.
func (s *supervisor) takeRest() {
	for s.areas != nil && len(s.areas.spare) > 0 {
		first := s.areas.spare[0]
		if _, err := s.areas.find(first.Name, func(a handover.Area) bool { return a == first }); err != nil {
			s.log(fmt.Sprintf("qmail-start: warning: figures of %s are lost: %v", first.Name, err))
			return
		}
	}
}

// handAreas returns what a successor is told.
func (s *supervisor) handAreas() (told []handover.Area, err error) {
	if s.areas == nil {
		return nil, nil
	}
	for _, a := range s.areas.list {
		fd, err := fdpass.Descriptor(a.file)
		if err != nil {
			return nil, err
		}
		t := handover.Area{FD: fd, Layout: figures.Layout(), Name: a.name}
		if a.of != nil && a.of.proc != nil {
			t.PID = a.of.proc.pid()
		}
		told = append(told, t)
	}
	return told, nil
}

// The socket in Q/run of who may read the figures. Its group is that of the
// directory, which only root may write.
const (
	metricsDir    = "run"
	metricsSocket = "metrics.sock"
	metricsMask   = 0o117
)

// openMetrics opens that socket for the reader. A predecessor's is replaced: who
// is connected to it is answered.
func (s *supervisor) openMetrics(home string, m *member) {
	var f *os.File
	err := priv.ForFiles(nil, func() (err error) {
		f, err = bindUnix(filepath.Join(home, metricsDir), metricsSocket, unix.SOCK_STREAM, metricsMask)
		return err
	})
	if err != nil {
		s.log(fmt.Sprintf("qmail-start: warning: %s/%s/%s: %v; the suite does without", home, metricsDir, metricsSocket, err))
		return
	}
	m.gifts = append(m.gifts, parent.Frame{Kind: parent.Listener, Name: parent.ListenMetrics, File: f})
}

// showArea hands an area to who reads them; not to the one of the program before,
// who knows them by other numbers.
func (s *supervisor) showArea(a *area) {
	if m := s.plan.member(reader); m != nil && !m.old {
		s.give(m, a.frame())
	}
}

// showAreas hands all areas to a process that has just been started.
func (s *supervisor) showAreas(m *member) {
	if s.areas == nil || m.role.Program != reader {
		return
	}
	for _, a := range s.areas.list {
		s.give(m, a.frame())
	}
}

func (a *area) frame() parent.Frame {
	program, _, _ := strings.Cut(a.name, " ")
	return parent.Frame{Kind: parent.Area, Name: parent.AreaName(figures.Layout(), a.number, program), File: a.read}
}

// countProcesses notes which programs run.
func (s *supervisor) countProcesses() {
	if s.areas == nil {
		return
	}
	for i, name := range figures.Programs {
		running, missing, wanted := int64(0), false, false
		for _, m := range s.plan.members {
			if m.role.Program != name {
				continue
			}
			if m.proc != nil {
				running++
			}
			if m.leaving == nil {
				wanted, missing = true, missing || m.proc == nil
			}
		}
		if !wanted && running == 0 {
			s.areas.own.Unset(figures.ProcessUp, i)
			s.areas.own.Unset(figures.Workers, i)
			continue
		}
		s.areas.own.Set(figures.Workers, i, running)
		s.areas.own.Set(figures.ProcessUp, i, isUp(missing))
	}
}

func isUp(missing bool) int64 {
	if missing {
		return 0
	}
	return 1
}

// countRestart notes that a member has to be started again.
func (s *supervisor) countRestart(m *member) {
	if s.areas != nil {
		s.areas.own.Add(figures.ProcessRestarts, slices.Index(figures.Programs, m.role.Program), 1)
	}
}
