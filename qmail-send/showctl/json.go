package showctl

import (
	"encoding/json"
	"io"
	"time"

	"postrider/internal/legible"
	"postrider/internal/settings"
)

// document is the report for programs.
type document struct {
	Home     string    `json:"home"`
	Time     string    `json:"time"`
	Settings []Value   `json:"settings,omitempty"`
	Findings []Finding `json:"findings"`
	Facts    []string  `json:"facts,omitempty"`
	// Down is what does not work because of the errors.
	Down     []string `json:"down,omitempty"`
	Errors   int      `json:"errors"`
	Warnings int      `json:"warnings"`
	Unread   int      `json:"unread"`
}

// maxJSONLines is how many lines of a list there are.
const maxJSONLines = 10000

func (i *inspector) printJSON(out io.Writer, o options) {
	d := document{Home: i.home, Time: i.now.UTC().Format(time.RFC3339), Facts: i.facts, Down: i.absent, Findings: []Finding{},
		Errors: len(i.of(Error)), Warnings: len(i.of(Warning)), Unread: len(i.of(Unread))}
	for _, level := range []Level{Error, Warning, Unread} {
		d.Findings = append(d.Findings, i.of(level)...)
	}
	for _, s := range chosen(o) {
		d.Settings = append(d.Settings, i.value(s, maxJSONLines))
	}
	e := json.NewEncoder(legible.JSON(out))
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	_ = e.Encode(d) // the writer keeps its error
}

// chosen are the settings that are asked for.
func chosen(o options) (some []settings.Setting) {
	switch {
	case len(o.names) > 0:
		for _, name := range o.names {
			some = append(some, named(name))
		}
	case !o.check:
		some = settings.All()
	}
	return some
}
