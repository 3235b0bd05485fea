// Package report turns what was measured into text and pictures: medians, a
// table that says what was wanted and what was reached, bars, lines, and the
// generated parts of a document.
//
// Only the benchmark imports it. The same results give the same bytes.
//
// Files:
//
//	results.go   values by mail system and row, one a round
//	row.go       what a row is, and its goal
//	table.go     the tables
//	bars.go      a picture of ratios
//	lines.go     a picture of a curve
//	svg.go       what both draw with
//	document.go  generated parts between marks
//	machine.go   what it was measured on
package report
