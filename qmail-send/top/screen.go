package top

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/gdamore/tcell/v3"
	"github.com/gdamore/tcell/v3/color"
	"golang.org/x/sys/unix"

	"postrider/qmail-send/top/picture"
)

// closing is how long the terminal may take to get back what it had: one that
// takes nothing any more keeps nobody here.
const closing = 3 * time.Second

// errTerminal says that the terminal is gone.
var errTerminal = errors.New("the terminal went away")

// runScreen draws the model on the terminal until somebody quits, or a signal
// comes. The terminal is then as it was.
func (s *sources) runScreen(m *picture.Model) error {
	// Nothing is asked of the terminal: over a slow line its answers would come
	// late, and reach the shell.
	for name, value := range map[string]string{"TCELL_NEGOTIATE": "disable", "TCELL_KEYBOARD_PROTOCOL": "legacy"} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT)
	defer signal.Stop(signals)
	screen, err := tcell.NewScreen()
	if err == nil {
		err = screen.Init()
	}
	if err != nil {
		return fmt.Errorf("unable to use the terminal: %w", err)
	}
	stopped, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		t := terminal{screen: screen, model: m, styles: stylesOf(screen)}
		err := t.run(s, stopped)
		screen.Fini()
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-signals:
	}
	close(stopped)
	select {
	case err := <-ended:
		return err
	case <-time.After(closing):
		return errTerminal
	}
}

// terminal is the screen, and what is shown on it.
type terminal struct {
	screen tcell.Screen
	model  *picture.Model
	view   picture.View
	styles map[picture.Style]tcell.Style
}

// stylesOf are the looks of cells. Colour is for the eye alone: what alarms is
// bold, too, and says so in words.
func stylesOf(screen tcell.Screen) map[picture.Style]tcell.Style {
	d := tcell.StyleDefault
	alarm := d.Bold(true)
	if screen.Colors() >= 8 {
		alarm = alarm.Foreground(color.Maroon) // red, in the palette of eight
	}
	return map[picture.Style]tcell.Style{picture.Plain: d, picture.Faint: d.Dim(true), picture.Strong: d.Bold(true), picture.Alarming: alarm, picture.Title: d.Reverse(true)}
}

// run draws each second, and whenever a key changes what is shown. While it is
// paused it takes no updates.
func (t *terminal) run(s *sources, stopped <-chan struct{}) error {
	done := make(chan struct{})
	defer close(done)
	updates := s.watch(done)
	tick := time.NewTicker(each)
	defer tick.Stop()
	for {
		from := updates
		if t.view.Paused {
			from = nil
		}
		select {
		case <-stopped:
			return nil
		case u := <-from:
			u(t.model)
		case <-tick.C:
			if !t.view.Paused {
				t.model.Now = s.clock.Now()
				t.draw()
			}
		case event := <-t.screen.EventQ():
			if quit, err := t.take(event); quit || err != nil {
				return err
			}
			t.draw()
		}
	}
}

// take does what somebody at the terminal wants.
func (t *terminal) take(event tcell.Event) (quit bool, err error) {
	switch event := event.(type) {
	case *tcell.EventError:
		return true, errTerminal
	case *tcell.EventResize:
		t.screen.Sync()
	case *tcell.EventKey:
		quit = t.press(event)
	}
	width, height := t.screen.Size()
	t.model.Clamp(&t.view, width, height)
	return quit, nil
}

var keys = map[tcell.Key]picture.Key{
	tcell.KeyUp: picture.KeyUp, tcell.KeyDown: picture.KeyDown, tcell.KeyPgUp: picture.KeyPageUp, tcell.KeyPgDn: picture.KeyPageDown,
	tcell.KeyHome: picture.KeyHome, tcell.KeyEnd: picture.KeyEnd, tcell.KeyEscape: picture.KeyEscape,
}

func (t *terminal) press(event *tcell.EventKey) (quit bool) {
	switch k := event.Key(); k {
	case tcell.KeyCtrlC:
		return true
	case tcell.KeyCtrlL:
		t.screen.Sync()
	case tcell.KeyRune:
		for _, letter := range event.Str() {
			quit = t.view.Press(letter) || quit
		}
	default:
		if known := keys[k]; known != 0 {
			t.view.Move(known)
		}
	}
	return quit
}

// draw writes the cells; the library sends those that have changed.
func (t *terminal) draw() {
	width, height := t.screen.Size()
	if width < 1 || height < 1 {
		return
	}
	c := picture.Draw(t.model, t.view, width, height)
	for i, cell := range c.Cells {
		t.screen.Put(i%width, i/width, string(cell.R), t.styles[cell.S])
	}
	t.screen.Show()
}
