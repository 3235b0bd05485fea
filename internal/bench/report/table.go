package report

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Table returns the results as a table: for each row and mail system the
// median, and what was wanted and reached. ranges adds the least and the most.
func Table(res *Results, rows []Row, ranges bool) string {
	head := append([]string{"workload"}, res.Systems...)
	lines := [][]string{append(head, "goal", "reached")}
	for _, row := range rows {
		line := []string{row.Title + ", " + row.Unit}
		for _, system := range res.Systems {
			line = append(line, res.text(system, row.Key, ranges))
		}
		reached, met := row.outcome(res)
		if reached != "" && !met {
			reached = "**not: " + reached + "**"
		}
		lines = append(lines, append(line, row.Goal.String(), reached))
	}
	return Markdown(lines)
}

// Notes returns the notes as a list, empty without any.
func Notes(res *Results) string {
	var b strings.Builder
	for _, note := range res.notes {
		fmt.Fprintf(&b, "- %s\n", note)
	}
	return b.String()
}

func (r *Results) text(system, row string, ranges bool) string {
	value, measured := r.Median(system, row)
	if !measured {
		return "-"
	}
	text := Number(value)
	if least, most := r.Range(system, row); ranges && least != most {
		text += fmt.Sprintf(" [%s-%s]", Number(least), Number(most))
	}
	return text
}

// Markdown returns a table whose columns are aligned, so that it reads in a
// terminal too. The first line is the head.
func Markdown(lines [][]string) string {
	width := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, text := range line {
			width[i] = max(width[i], utf8.RuneCountInString(text))
		}
	}
	var b strings.Builder
	for n, line := range lines {
		for i, text := range line {
			fmt.Fprintf(&b, "| %s%s ", text, strings.Repeat(" ", width[i]-utf8.RuneCountInString(text)))
		}
		b.WriteString("|\n")
		if n > 0 {
			continue
		}
		for _, w := range width {
			b.WriteString("|" + strings.Repeat("-", w+2))
		}
		b.WriteString("|\n")
	}
	return b.String()
}
