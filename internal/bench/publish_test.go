package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/bench/account"
	"postrider/internal/bench/report"
)

// The document and its pictures, from this package's directory.
const (
	documents = "../../docs"
	document  = documents + "/performance.md"
)

// publish prints the results and, after a full run, writes them into the
// document.
func publish(t *testing.T, began time.Time, n plan, res *report.Results, peers []*peer, idle []account.Process, syncs float64) {
	t.Helper()
	if *runFan {
		publishFan(t, fanText(began, n, res, peers))
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s: %s; all on one journaled ext4 in an image file, by way of a loop device.\n\n", began.Format("2006-01-02"), report.Machine())
	fmt.Fprintf(&b, "%s\n\n", settings(n, peers))
	b.WriteString(report.Table(res, rows(n), true) + "\n")
	if notes := report.Notes(res); notes != "" {
		b.WriteString(notes + "\n")
	}
	b.WriteString("What the machine itself can do, in the same rounds:\n\n" + limitTable(res) + "\n")
	fmt.Fprintf(&b, "The suite asks for syncs %.2f times for a message of W1: once for each group of files, and once for each group of directories.\n\n", syncs)
	b.WriteString("Its idle processes:\n\n" + processTable(idle))
	fmt.Print("\n", b.String())
	fmt.Printf("\nThe run took %v.\n", time.Since(began).Round(time.Second))
	if *quick || *only != "" || t.Failed() {
		fmt.Println("Nothing is written: only a full run without a failure is for the documents.")
		return
	}
	err := report.ReplaceIn(document, "results", "![How many times as good as Postfix](performance.svg)\n\n"+b.String())
	if err == nil {
		err = os.WriteFile(filepath.Join(documents, "performance.svg"), []byte(report.Bars(res, pictured(n), peerLabel(peers, postfix))), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

// publishFan does that with a run that measures W9 alone.
func publishFan(t *testing.T, text string) {
	t.Helper()
	fmt.Print("\n", text)
	if *quick || t.Failed() {
		fmt.Println("Nothing is written: only a full run without a failure is for the documents.")
		return
	}
	if err := report.ReplaceIn(document, "fan-out", text); err != nil {
		t.Error(err)
	}
}

// fanText is what the document has of a run that measures W9 alone.
func fanText(began time.Time, n plan, res *report.Results, peers []*peer) string {
	var versions []string
	for _, p := range peers {
		versions = append(versions, p.name+" "+p.version)
	}
	text := fmt.Sprintf("%s\nMeasured on %s: %s; one journaled ext4 in an image file. %s. Rounds in turns: %d; median [least-most]. %d messages of %d bytes, 20 sessions.\n",
		report.Table(res, fanRows(n), true), began.Format("2006-01-02"), report.Machine(), strings.Join(versions, ", "), n.rounds, n.fanned, smallSize)
	if notes := report.Notes(res); notes != "" {
		text += "\n" + notes
	}
	return text
}

func peerLabel(peers []*peer, name string) string {
	i := slices.IndexFunc(peers, func(p *peer) bool { return p.name == name })
	if i < 0 {
		return name
	}
	return peers[i].label()
}

// settings says how it was measured.
func settings(n plan, peers []*peer) string {
	var versions, others []string
	for _, p := range peers {
		versions = append(versions, p.name+" "+p.version)
		if p.sessions != 20 {
			others = append(others, fmt.Sprintf("%s %d", p.name, p.sessions))
		}
	}
	text := fmt.Sprintf("%s. Rounds in turns: %d; median [least-most]. %d messages of %d bytes a round, one a connection, 20 sessions", strings.Join(versions, ", "), n.rounds, n.messages, smallSize)
	if len(others) > 0 {
		text += " (" + strings.Join(others, ", ") + ")"
	}
	text += fmt.Sprintf("; W3 %d calls; W5 %d messages of %d MiB, 4 sessions; W6 %d messages that wait; W8 %d sessions.", n.calls, n.large, n.largeSize>>20, n.backlog, n.held)
	for _, p := range peers {
		if p.share > 1 {
			text += fmt.Sprintf(" %s gets a %dth of the messages, and of W6 a %dth.", p.name, p.share, 2*p.share)
		}
	}
	return text
}

// limitTable sets W1 and W2 of ours against what the machine can do.
func limitTable(res *report.Results) string {
	lines := [][]string{{"limit", "a second", "W1 delivered is", "W2 relayed is"}}
	for _, name := range limitNames() {
		limit, _ := res.Median(machine, name)
		line := []string{name, fmt.Sprintf("%.0f", limit)}
		for _, row := range []string{"W1 delivered", "W2 relayed"} {
			share := "-"
			if rate, measured := res.Median(res.Systems[0], row); measured && limit > 0 {
				share = fmt.Sprintf("%.0f %%", 100*rate/limit)
			}
			line = append(line, share)
		}
		lines = append(lines, line)
	}
	return report.Markdown(lines)
}

// processTable adds up processes of one program.
func processTable(list []account.Process) string {
	lines := [][]string{{"program", "processes", "PSS, MB"}}
	for len(list) > 0 {
		name := list[0].Name
		count, sum := 0, int64(0)
		list = slices.DeleteFunc(list, func(p account.Process) bool {
			if p.Name != name {
				return false
			}
			count++
			sum += p.PSS
			return true
		})
		lines = append(lines, []string{name, fmt.Sprint(count), fmt.Sprintf("%.1f", megabytes(sum))})
	}
	return report.Markdown(lines)
}
