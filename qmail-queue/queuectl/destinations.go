package queuectl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"postrider/internal/legible"
	"postrider/internal/wire/manage"
)

// destination is what is shown of the hosts that take the mail of some domains.
type destination struct {
	Name       string     `json:"name"`
	Domains    int        `json:"domains"`
	State      string     `json:"state"`
	Waiting    int        `json:"waiting"`
	InFlight   int        `json:"in_flight"`  // connections
	Deliveries int        `json:"deliveries"` // over these
	Limit      int        `json:"limit"`      // of connections, now
	Most       int        `json:"connections,omitempty"`
	Rate       string     `json:"rate,omitempty"`
	Distance   float64    `json:"distance_seconds,omitempty"` // of messages, now
	Since      *time.Time `json:"since,omitempty"`
	Next       *time.Time `json:"next,omitempty"` // nothing goes before
	Reason     string     `json:"reason,omitempty"`
}

var standings = map[manage.Standing]string{manage.Well: "well", manage.Slowed: "slowed", manage.Down: "down"}

// destinations is the command. Without --all it leaves out those of which there
// is nothing to say.
func (r *run) destinations(operands []string) error {
	if len(operands) > 0 {
		return errUsage(fmt.Sprintf("%q: destinations takes options only", operands[0]))
	}
	client, err := manage.Dial(r.layout.Manage())
	if err != nil {
		return err
	}
	defer client.Close()
	var all []destination
	err = client.Destinations(func(some []manage.Destination) error {
		for _, d := range some {
			if r.choice.all || d.Standing != manage.Well || d.Waiting > 0 || d.Jobs > 0 {
				all = append(all, shownDestination(d))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b destination) int {
		return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(b.InFlight, a.InFlight), cmp.Compare(a.Name, b.Name))
	})
	for _, d := range all {
		if r.json {
			err = r.object(d)
		} else {
			_, err = r.out.WriteString(d.words())
		}
		if err != nil {
			return err
		}
	}
	if !r.json {
		_, err = fmt.Fprintf(r.out, "%d destinations\n", len(all))
	}
	return err
}

func shownDestination(d manage.Destination) destination {
	shown := destination{
		Name: d.Name, Domains: int(d.Domains), State: standings[d.Standing], Waiting: int(d.Waiting), InFlight: int(d.Jobs),
		Deliveries: int(d.Deliveries), Limit: int(d.Window), Most: int(d.Limit), Rate: d.Rate, Distance: float64(d.Distance) / 1000, Reason: d.Reason,
	}
	at := func(seconds int64) *time.Time {
		if seconds == 0 {
			return nil
		}
		t := unixTime(seconds)
		return &t
	}
	shown.Since, shown.Next = at(d.Since), at(d.Next)
	return shown
}

// words is a destination for people: a line, and another one for what is special
// about it.
func (d destination) words() string {
	var more []string
	if d.State != "well" && d.Since != nil {
		more = append(more, "since "+stamp(*d.Since))
	}
	if d.Most > 0 {
		more = append(more, fmt.Sprintf("at most %d", d.Most))
	}
	if d.Rate != "" {
		more = append(more, "rate "+d.Rate)
	}
	if d.Distance > 0 {
		more = append(more, fmt.Sprintf("one in %v", time.Duration(d.Distance*float64(time.Second)).Round(time.Millisecond)))
	}
	if d.Next != nil {
		more = append(more, map[bool]string{true: "next probe ", false: "next "}[d.State == "down"]+stamp(*d.Next))
	}
	line := fmt.Sprintf("%-6s %7d waiting %4d of %-4d %s", d.State, d.Waiting, d.InFlight, d.Limit, d.Name)
	if d.Domains > 1 {
		line += fmt.Sprintf(" (%d domains)", d.Domains)
	}
	if len(more) > 0 {
		line += "\n       " + strings.Join(more, ", ")
	}
	if d.Reason != "" {
		line += "\n       " + d.Reason
	}
	return legible.Text(line) + "\n"
}
