package start

import (
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/figures"
	"postrider/internal/priv"
)

// TestProgramsAreCounted: each program of the table, and who is none of its own,
// has a series.
func TestProgramsAreCounted(t *testing.T) {
	t.Parallel()
	for _, role := range append(priv.Roles(), priv.Logger()) {
		if role.Program != "qmail-start" && !slices.Contains(figures.Programs, role.Program) {
			t.Errorf("%s has no series", role.Program)
		}
	}
}

// readAreas reads the areas of a supervisor as qmail-metrics does.
func readAreas(t *testing.T, s *supervisor) map[string]float64 {
	t.Helper()
	var owner figures.Area
	var others []figures.Area
	for _, a := range s.areas.list {
		read, err := figures.ReadOnly(a.file)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := figures.OpenArea(a.number, a.name, read)
		if err != nil {
			t.Fatal(err)
		}
		if a.number == 0 {
			owner = opened
		} else {
			others = append(others, opened)
		}
	}
	told := make(map[string]float64)
	for _, f := range figures.Read(owner, others) {
		for _, sample := range f.Samples {
			name := f.Name
			for _, value := range sample.Labels {
				name += " " + value
			}
			told[name] = sample.Value
		}
	}
	return told
}

// TestAreasOutliveProcesses: a process that is started again counts where its
// predecessor has, and one beside it somewhere else.
func TestAreasOutliveProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *supervisor
		p := newPlayWith(func(*stage) {}, func(made *supervisor) {
			s = made
			if err := s.openAreas(nil); err != nil {
				t.Fatal(err)
			}
		})
		before := len(s.areas.list)
		if told := readAreas(t, s); told["postrider_process_up qmail-smtpd"] != 1 || told["postrider_workers qmail-remote"] != 1 ||
			told["postrider_process_restarts_total qmail-smtpd"] != 0 {
			t.Errorf("at the start: %v", told)
		}
		if _, wanted := readAreas(t, s)["postrider_process_up qmail-qmtpd"]; wanted {
			t.Error("qmail-qmtpd is told of, which nobody wants")
		}
		for range 2 {
			p.latest("qmail-smtpd").die(exited(111))
			synctest.Wait()
		}
		if told := readAreas(t, s); told["postrider_process_up qmail-smtpd"] != 0 || told["postrider_workers qmail-smtpd"] != 0 {
			t.Errorf("between two starts: %v", told)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		told := readAreas(t, s)
		if told["postrider_process_up qmail-smtpd"] != 1 || told["postrider_process_restarts_total qmail-smtpd"] != 2 {
			t.Errorf("behind two restarts: %v", told)
		}
		if len(s.areas.list) != before {
			t.Errorf("%d areas became %d", before, len(s.areas.list))
		}
		handed, err := s.handAreas()
		if err != nil || len(handed) != before {
			t.Errorf("%d of %d areas are handed over, %v", len(handed), before, err)
		}
		p.latest("qmail-smtpd").signal(syscall.SIGTERM)
		if status := p.end(); status != 0 {
			t.Errorf("status %d", status)
		}
	})
}
