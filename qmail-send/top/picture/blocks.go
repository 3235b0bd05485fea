package picture

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"postrider/internal/legible"
	"postrider/internal/wire/manage"
	"postrider/qmail-send/top/ask"
	"postrider/qmail-send/top/logtail"
	"postrider/qmail-send/top/wording"
)

// What the blocks of the screen say, each the most important lines first: there
// is room for a few on a small screen, and for all if a block has it alone.

// noFigures is said in place of figures that are not there, and how they come to
// be.
func (m *Model) noFigures() []row {
	if errors.Is(m.FiguresErr, ask.ErrNoFigures) {
		return []row{text(" no figures: qmail-metrics does not run"), text(" make control/metricslisten, then USR2")}
	}
	return []row{text(" no figures yet")}
}

// bar is a full part of something, in so many columns.
func bar(width int, share float64) string {
	inside := max(0, width-2)
	full := int(math.Round(share * float64(inside)))
	if share > 0 {
		full = max(full, 1)
	}
	full = max(0, min(full, inside))
	return "[" + strings.Repeat("|", full) + strings.Repeat(" ", inside-full) + "]"
}

// rateWord is a rate, or a sign that it is not known.
func rateWord(rate float64) string {
	if rate < 0 {
		return "-"
	}
	return wording.PerSecond(rate) + "/s"
}

// totalWord is the same for a total, in few columns.
func totalWord(c count) string {
	if !c.known {
		return "-"
	}
	return wording.Short(c.total)
}

func (m *Model) queueRows(width int) []row {
	q := m.queue()
	if !q.known {
		return []row{text(" not known")}
	}
	number, unit, _ := strings.Cut(wording.Plural(q.total, "message", "messages"), " ")
	first := row{{Strong, " " + number}, {Plain, " " + unit}}
	if grown := m.history.Change("queue_messages"); grown > 0 {
		first = first.and(Plain, ", +"+wording.Short(grown)+" in 1m")
	} else if grown < 0 {
		first = first.and(Plain, ", -"+wording.Short(-grown)+" in 1m")
	}
	if q.total > 0 {
		first = first.and(Plain, ", oldest ").and(Strong, wording.Brief(q.oldest))
	}
	all := []row{first}
	if in, out, known := m.history.Flow(); known {
		all = append(all, text(fmt.Sprintf(" in %s/s, out %s recipients/s", wording.PerSecond(in), wording.PerSecond(out))))
	} else if q.at.Before(m.Now.Add(-5 * time.Second)) {
		all = append(all, row{{Faint, " as of " + q.at.UTC().Format("15:04:05")}})
	} else {
		all = append(all, text(""))
	}
	return append(all, pairs(q.states, width)...)
}

// pairs writes amounts in two columns, if they are narrow enough; those that are 0
// are left out.
func pairs(amounts []amount, width int) (all []row) {
	const gap = 3
	columns, room := 2, (width-1-gap)/2
	for _, a := range amounts {
		if a.n > 0 && len(a.name)+1+len(wording.Full(a.n)) > room {
			columns = 1
		}
	}
	for _, a := range amounts {
		if !(a.n > 0) {
			continue
		}
		value := wording.Full(a.n)
		word := fmt.Sprintf("%-*s %s", max(1, min(room, 30)-len(value)-1), a.name, value)
		if n := len(all); columns == 2 && n > 0 && len(all[n-1]) == 1 {
			all[n-1] = all[n-1].and(Plain, strings.Repeat(" ", gap)+word)
			continue
		}
		all = append(all, text(" "+word))
	}
	return all
}

// queueDetails are what there is room for on large screens.
func (m *Model) queueDetails() (all []row) {
	r, some := m.history.Last()
	if !some {
		return nil
	}
	for _, t := range []struct{ figure, name string }{{"commit_seconds", "commit"}, {"queue_wait_seconds", "wait"}, {"queue_sync_seconds", "sync"}} {
		if _, total := m.history.Timing(t.figure, ""); total.Count() > 0 {
			all = append(all, m.timingRow(t.name, t.figure, ""))
		}
	}
	if _, group := m.history.Timing("queue_sync_group_size", ""); group.Count() > 0 {
		all = append(all, text(fmt.Sprintf(" %-8s %.1f messages a sync", "groups", group.Sum/group.Count())))
	}
	for _, via := range r.Keys("messages_accepted_total") {
		c := m.count("messages_accepted_total", via)
		if c.total > 0 {
			all = append(all, text(fmt.Sprintf(" %-16s %7s %6s in all", wording.Cut("from "+via, 16), rateWord(c.perSecond), wording.Short(c.total))))
		}
	}
	for _, age := range agesOf(r.Values["queue_age_messages"]) {
		all = append(all, text(fmt.Sprintf(" %-16s %7s", "age "+age.name, wording.Full(age.n))))
	}
	return all
}

// timingRow says how long something takes, in the last minute, or ever.
func (m *Model) timingRow(name, figure, key string) row {
	h, total := m.history.Timing(figure, key)
	when := ""
	if h.Count() == 0 {
		h, when = total, " in all"
	}
	p50, _ := h.Quantile(0.5)
	p90, _ := h.Quantile(0.9)
	p99, _ := h.Quantile(0.99)
	return text(fmt.Sprintf(" %-8s half %s, 90%% %s, 99%% %s%s", name, wording.Brief(p50), wording.Brief(p90), wording.Brief(p99), when))
}

// agesOf are the classes of age in their order.
func agesOf(classes map[string]float64) (all []amount) {
	for _, name := range []string{"under_10m", "10m_to_1h", "1h_to_4h", "4h_to_1d", "1d_to_3d", "over_3d"} {
		if n := classes[name]; n > 0 {
			all = append(all, amount{strings.ReplaceAll(name, "_", " "), n})
		}
	}
	return all
}

func (m *Model) sessionRows(width int) []row {
	r, some := m.history.Last()
	if !some {
		return m.noFigures()
	}
	now, _ := r.Value("smtp_sessions", "")
	limit, _ := r.Value("smtp_sessions_limit", "")
	first := fmt.Sprintf(" smtp %s sessions", wording.Full(now))
	if limit > 0 {
		use := fmt.Sprintf(" %4s of %s", wording.Short(now), wording.Short(limit))
		first = " smtp " + bar(max(6, width-8-len(use)), now/limit) + use
	}
	opened, tls := m.count("smtp_sessions_total", ""), m.count("smtp_tls_sessions_total", "")
	all := []row{
		text(first),
		text(fmt.Sprintf(" new %s, %s in all, TLS %s", rateWord(opened.perSecond), wording.Short(opened.total), percent(tls, opened))),
	}
	refused, known := m.history.RateOfAll("smtp_refusals_total")
	if !known {
		refused = -1
	}
	good, bad := m.count("auth_attempts_total", "accepted"), m.authFailures()
	all = append(all,
		text(fmt.Sprintf(" auth %s, failed %s, %s in all", rateWord(good.perSecond), rateWord(bad.perSecond), wording.Short(bad.total))),
		text(fmt.Sprintf(" refused %s, %s in all", rateWord(refused), wording.Short(r.Sum("smtp_refusals_total")))))
	return append(all, m.ruleRows()...)
}

// authFailures are all attempts to log in that did not succeed.
func (m *Model) authFailures() count {
	failed := count{perSecond: -1, known: true}
	r, _ := m.history.Last()
	for _, result := range r.Keys("auth_attempts_total") {
		if result == "accepted" {
			continue
		}
		c := m.count("auth_attempts_total", result)
		failed.total += c.total
		if c.perSecond >= 0 {
			failed.perSecond = max(0, failed.perSecond) + c.perSecond
		}
	}
	if _, known := m.history.RateOfAll("auth_attempts_total"); known {
		failed.perSecond = max(0, failed.perSecond)
	}
	return failed
}

// ruleRows are the rules that refuse most now, and those that have.
func (m *Model) ruleRows() (all []row) {
	r, _ := m.history.Last()
	type refusals struct {
		rule string
		count
	}
	var rules []refusals
	for _, rule := range r.Keys("smtp_refusals_total") {
		if c := m.count("smtp_refusals_total", rule); c.total > 0 {
			rules = append(rules, refusals{rule, c})
		}
	}
	slices.SortStableFunc(rules, func(a, b refusals) int { return cmp.Compare(b.perSecond, a.perSecond) })
	for _, one := range rules {
		all = append(all, text(fmt.Sprintf("  %7s %6s  %s", rateWord(one.perSecond), wording.Short(one.total), one.rule)))
	}
	return all
}

// percent is what part of b a is: of the last seconds, or of all if there was
// nothing.
func percent(a, b count) string {
	of, all := a.perSecond, b.perSecond
	if !(all > 0) {
		of, all = a.total, b.total
	}
	if !(all > 0) {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", min(1, max(0, of)/all)*100)
}

// processRows have first what does not run.
func (m *Model) processRows() []row {
	r, some := m.history.Last()
	if !some {
		return m.noFigures()
	}
	up, down := m.processes()
	summary := row{{Plain, fmt.Sprintf(" %d up", up)}}
	if down > 0 {
		summary = summary.and(Alarming, fmt.Sprintf(", %d down", down))
	}
	all := []row{summary.and(Plain, ", "+wording.Plural(r.Sum("process_restarts_total"), "restart", "restarts"))}
	programs := r.Keys("process_up")
	slices.Sort(programs)
	restarts := r.Values["process_restarts_total"]
	slices.SortStableFunc(programs, func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Values["process_up"][a], r.Values["process_up"][b]), cmp.Compare(restarts[b], restarts[a]))
	})
	for _, program := range programs {
		state := piece{Plain, "up   "}
		if r.Values["process_up"][program] == 0 {
			state = piece{Alarming, "down "}
		}
		line := row{{Plain, fmt.Sprintf(" %-16s ", wording.Cut(program, 16))}, state}
		if n := r.Values["workers"][program]; n > 0 {
			line = line.and(Plain, wording.Plural(n, "worker ", "workers "))
		}
		if n := restarts[program]; n > 0 {
			line = line.and(Plain, wording.Plural(n, "restart", "restarts"))
		}
		all = append(all, line)
	}
	return all
}

const channelFormat = " %-6s %14s  %9s %6s  %8s %6s  %8s %6s"

// channelsWide is from where on latencies stand beside the rest.
const channelsWide = 110

// channelTitle is what stands over the columns of channels.
func channelTitle(width int) string {
	title := fmt.Sprintf(channelFormat, "", "running", "success", "in all", "deferral", "in all", "failure", "in all")
	if width >= channelsWide {
		title += fmt.Sprintf("  %5s %5s", "half", "99%")
	}
	return title
}

func (m *Model) channelRows(width int) []row {
	wide := width >= channelsWide
	var all []row
	for _, c := range m.channels() {
		running := "-"
		if c.running >= 0 {
			running = wording.Full(c.running) + " of " + wording.Full(c.limit)
		}
		line := fmt.Sprintf(channelFormat, c.name, running, rateWord(c.success.perSecond), totalWord(c.success),
			rateWord(c.deferred.perSecond), totalWord(c.deferred), rateWord(c.failed.perSecond), totalWord(c.failed))
		if wide {
			line += "  " + latency(c) + "  "
			share := 0.0
			if c.limit > 0 {
				share = max(0, c.running) / c.limit
			}
			line += bar(min(40, width-len(line)-1), share)
		}
		all = append(all, text(line))
	}
	if !wide {
		all = append(all, m.latencyRow())
	}
	return all
}

// latencyRow is the latencies of both channels in one line.
func (m *Model) latencyRow() row {
	var half, most []string
	for _, c := range m.channels() {
		if c.p50 >= 0 {
			half = append(half, c.name+" "+wording.Brief(c.p50))
			most = append(most, c.name+" "+wording.Brief(c.p99))
		}
	}
	if len(half) == 0 {
		return text("")
	}
	return text(" half within: " + strings.Join(half, ", ") + "   99% within: " + strings.Join(most, ", "))
}

// latency is the median of a channel, and what one in a hundred exceeds.
func latency(c channel) string {
	if c.p50 < 0 {
		return fmt.Sprintf("%5s %5s", "-", "-")
	}
	return fmt.Sprintf("%5s %5s", wording.Brief(c.p50), wording.Brief(c.p99))
}

// channelDetails are for a screen that has the block alone.
func (m *Model) channelDetails(width int) []row {
	all := m.channelRows(width)
	r, some := m.history.Last()
	if !some {
		return all
	}
	all = append(all, text(""))
	for _, name := range []string{"local", "remote"} {
		all = append(all, m.timingRow(name, "delivery_seconds", name))
	}
	all = append(all, text(""))
	for _, name := range []string{"local", "remote"} {
		h := r.Times["delivery_seconds"][name]
		below := 0.0
		for _, b := range h.Buckets {
			if n := b.Count - below; n > 0 {
				bound := "more"
				if !math.IsInf(b.Bound, 1) {
					bound = "up to " + wording.Brief(b.Bound)
				}
				all = append(all, text(fmt.Sprintf(" %-6s %-12s %9s %s", name, bound, wording.Full(n), bar(max(10, min(40, width-34)), n/h.Count()))))
			}
			below = b.Count
		}
	}
	return all
}

// order is by what destinations are sorted.
type order byte

const (
	byWaiting order = iota
	byState
	byUse
	byName
	orderCount // how many there are
)

// sorted returns the destinations of which there is something to say.
func (m *Model) sorted(by order) []manage.Destination {
	var all []manage.Destination
	for _, d := range m.orders.Destinations {
		if d.Standing != manage.Well || d.Waiting > 0 || d.Jobs > 0 {
			all = append(all, d)
		}
	}
	worst := map[manage.Standing]int{manage.Down: 0, manage.Slowed: 1, manage.Well: 2}
	slices.SortFunc(all, func(a, b manage.Destination) int {
		waiting, use, name := cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(b.Jobs, a.Jobs), cmp.Compare(a.Name, b.Name)
		switch by {
		case byState:
			return cmp.Or(cmp.Compare(worst[a.Standing], worst[b.Standing]), waiting, use, name)
		case byUse:
			return cmp.Or(use, waiting, name)
		case byName:
			return name
		}
		return cmp.Or(waiting, cmp.Compare(worst[a.Standing], worst[b.Standing]), use, name)
	})
	return all
}

var standings = map[manage.Standing]string{manage.Well: "well", manage.Slowed: "slowed", manage.Down: "down"}

// destinationFormat has the name, the state, what waits, what is in use, how long
// that state lasts, and when the next message may go.
const destinationFormat = " %-*s %-6s %7s %9s %5s %5s  "

// nameWidth is how much of a destination's name there is room for.
func nameWidth(width int) int { return max(12, min(60, (width-38)/2)) }

// destinationTitle is what stands over the columns: that by which they are sorted
// in capitals.
func destinationTitle(width int, by order) string {
	words := map[order]string{byWaiting: "waiting", byState: "state", byUse: "in use"}
	if word, known := words[by]; known {
		words[by] = strings.ToUpper(word)
	}
	return fmt.Sprintf(destinationFormat+"said", nameWidth(width), "", words[byState], words[byWaiting], words[byUse], "for", "next")
}

func (m *Model) destinationRows(width int, by order) []row {
	if m.orders.At.IsZero() {
		return []row{text(" qmail-send was not heard yet")}
	}
	all := m.sorted(by)
	if len(all) == 0 {
		return []row{text(" nothing is under way to other hosts, and nothing waits for any")}
	}
	var rows []row
	room := nameWidth(width)
	for _, d := range all {
		s, since, next := Plain, "", ""
		if d.Standing != manage.Well {
			s = Strong
			if d.Since > 0 {
				since = wording.Brief(max(0, m.Now.Sub(time.Unix(d.Since, 0)).Seconds()))
			}
		}
		if wait := time.Unix(d.Next, 0).Sub(m.Now); d.Next > 0 && wait > 0 {
			next = wording.Brief(wait.Seconds())
		}
		line := fmt.Sprintf(destinationFormat, room, wording.Cut(legible.ASCII(d.Name), room), standings[d.Standing], wording.Short(float64(d.Waiting)),
			fmt.Sprintf("%d/%d", d.Jobs, d.Window), since, next)
		rows = append(rows, row{{s, line}, {Plain, legible.ASCII(d.Reason)}})
	}
	return rows
}

func (m *Model) logRows(show logtail.Filter) []row {
	var all []row
	for _, e := range m.Log.Events[show] {
		at := "        "
		if !e.At.IsZero() {
			at = e.At.UTC().Format("15:04:05")
		}
		s := Plain
		switch e.Grave {
		case logtail.Warning:
			s = Alarming
		case logtail.Trouble:
			s = Strong
		}
		all = append(all, row{{Faint, " " + at + " "}, {s, e.Words}})
	}
	if len(all) == 0 {
		word := " no such line yet"
		if m.logErr != nil {
			word = " no log; name a file with -l"
		}
		return []row{text(word)}
	}
	return all
}
