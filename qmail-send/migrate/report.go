package migrate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"postrider/internal/legible"
	"postrider/internal/migrate"
)

// headings of the text, in their order.
var headings = []struct {
	kind migrate.Kind
	text string
}{
	{migrate.Carried, "Carried over"},
	{migrate.Decided, "Decided"},
	{migrate.Step, "Left to do"},
	{migrate.Lost, "Without an equivalent"},
}

// summary is the last object of a report.
type summary struct {
	System   string   `json:"system"`
	To       string   `json:"to"`
	Files    int      `json:"files"`
	Carried  int      `json:"carried"`
	Decided  int      `json:"decided"`
	Steps    int      `json:"steps"`
	Lost     int      `json:"lost"`
	Problems []string `json:"problems"`
}

// report says what was written and what was not.
func (r *run) report(site *migrate.Site, problems []string) error {
	sum := summary{site.System, r.to, len(site.Files), site.Count(migrate.Carried), site.Count(migrate.Decided), site.Count(migrate.Step), site.Count(migrate.Lost), problems}
	if r.json {
		out := json.NewEncoder(legible.JSON(r.out))
		for _, remark := range site.Remarks {
			if r.says(remark.Kind) {
				if err := out.Encode(remark); err != nil {
					return err
				}
			}
		}
		return out.Encode(sum)
	}
	for _, h := range headings {
		if r.says(h.kind) {
			r.section(h.text, site.Remarks, h.kind)
		}
	}
	if len(problems) > 0 {
		fmt.Fprintf(r.out, "Wrong in what was written\n\n")
		for _, p := range problems {
			fmt.Fprintf(r.out, "  %s\n", legible.Line(p))
		}
		fmt.Fprintln(r.out)
	}
	fmt.Fprintf(r.out, "%d files are in %s: %s\n", sum.Files, r.to, strings.Join(slices.Sorted(maps.Keys(directories(site))), ", "))
	_, err := fmt.Fprintf(r.out, "%d carried over, %d decided, %d left to do, %d without an equivalent\n", sum.Carried, sum.Decided, sum.Steps, sum.Lost)
	return err
}

func (r *run) says(kind migrate.Kind) bool {
	return !r.brief || kind == migrate.Step || kind == migrate.Lost
}

// section is the remarks of a kind.
func (r *run) section(heading string, remarks []migrate.Remark, kind migrate.Kind) {
	first := true
	for _, remark := range remarks {
		if remark.Kind != kind {
			continue
		}
		if first {
			fmt.Fprintf(r.out, "%s\n\n", heading)
			first = false
		}
		where := remark.Where.String()
		if where != "" {
			where += ": "
		}
		fmt.Fprintf(r.out, "  %s\n      %s\n", legible.Line(where+remark.What), legible.Line(remark.Text))
	}
	if !first {
		fmt.Fprintln(r.out)
	}
}

// directories are those that have files.
func directories(site *migrate.Site) map[string]bool {
	all := map[string]bool{}
	for name := range site.Files {
		first, _, _ := strings.Cut(name, "/")
		all[first] = true
	}
	return all
}
