package scenario

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postrider/internal/figures"
)

const prometheusFiles = "../../contrib/prometheus"

// unpackPromtool returns the tool of Debian's Prometheus.
func unpackPromtool(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(peerPackages + "/prometheus_*.deb")
	if err != nil || len(found) == 0 {
		t.Skip("SKIPPED for want of promtool: .ci/run puts Prometheus into " + peerPackages)
	}
	dir := t.TempDir()
	if out, err := exec.Command("dpkg", "-x", found[0], dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir + "/usr/bin/promtool"
}

// runPromtool fails the test if the tool has something to say.
func runPromtool(t *testing.T, tool, stdin string, args ...string) {
	t.Helper()
	c := exec.Command(tool, args...)
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil || strings.Contains(string(out), "FAILED") {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// dashboard is what is looked at of one of Grafana's.
type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Definition string }
	}
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ H, W, X, Y int }
		Targets []struct{ RefID, Expr string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile(prometheusFiles + "/postrider.dashboard.json")
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// expressions are the queries of a dashboard, with values for what Grafana puts in.
func (d dashboard) expressions() (list []string) {
	values := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*")
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			list = append(list, values.Replace(q.Expr))
		}
	}
	return list
}

// TestAlertsAndDashboard: Prometheus loads the rules, they fire when they are
// to, it understands each query of the dashboard, and both ask for metrics and
// labels that there are.
func TestAlertsAndDashboard(t *testing.T) {
	t.Parallel()
	tool := unpackPromtool(t)
	runPromtool(t, tool, "", "check", "config", prometheusFiles+"/prometheus.yml")
	runPromtool(t, tool, "", "check", "rules", prometheusFiles+"/postrider.rules.yml")
	runPromtool(t, tool, "", "test", "rules", prometheusFiles+"/postrider.rules_test.yml")
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	d := readDashboard(t)
	for _, e := range d.expressions() {
		quoted, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		rules.WriteString("      - {record: dashboard:query, expr: " + string(quoted) + "}\n")
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	runPromtool(t, tool, "", "check", "rules", "--lint=none", file)
	if len(d.expressions()) < 30 {
		t.Errorf("only %d queries were found", len(d.expressions()))
	}
}

// metricInQuery is a metric, and the selector behind it.
var metricInQuery = regexp.MustCompile(`\b(postrider_[a-z0-9_]+)(?:\{([^}]*)\})?`)

// checkQuery fails the test if a query asks for what nobody tells.
func checkQuery(t *testing.T, query string) (asked []string) {
	t.Helper()
	label := regexp.MustCompile(`([a-z]+)(=~|!=|=)"([^"]*)"`)
	for _, m := range metricInQuery.FindAllStringSubmatch(query, -1) {
		row, found := rowOf(m[1])
		if !found {
			t.Errorf("there is no metric %s: %s", m[1], query)
			continue
		}
		asked = append(asked, row.Name)
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			place := slices.Index(row.Labels, l[1])
			known := slices.ContainsFunc(row.Series, func(s []string) bool { return place >= 0 && s[place] == l[3] })
			if l[1] != "instance" && l[1] != "le" && !known {
				t.Errorf("%s has no series with %s: %s", row.Name, l[0], query)
			}
		}
	}
	return asked
}

// rowOf returns the row of a metric, which has three names if it is a histogram.
func rowOf(name string) (figures.Metric, bool) {
	for _, row := range figures.Table() {
		suffix, found := strings.CutPrefix(name, row.Name)
		if found && (suffix == "" || row.Kind == figures.Histogram && slices.Contains([]string{"_bucket", "_sum", "_count"}, suffix)) {
			return row, true
		}
	}
	return figures.Metric{}, false
}

// TestQueriesNameWhatThereIs: rules and dashboard speak of metrics, labels and
// values of the table, and the dashboard shows all of them.
func TestQueriesNameWhatThereIs(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(prometheusFiles + "/postrider.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(checkQuery(t, string(rules))); n < 20 {
		t.Errorf("only %d metrics were found in the rules", n)
	}
	d := readDashboard(t)
	var shown []string
	for _, e := range d.expressions() {
		shown = append(shown, checkQuery(t, e)...)
	}
	for _, row := range figures.Table() {
		if !slices.Contains(shown, row.Name) {
			t.Errorf("the dashboard does not show %s", row.Name)
		}
	}
	for _, v := range d.Templating.List {
		checkQuery(t, v.Definition)
	}
	taken := make(map[[2]int]string)
	ids := make(map[int]bool)
	for _, p := range d.Panels {
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Errorf("%q is where %q is", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if ids[p.ID] || p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d, %q", p.ID, p.Title)
		}
		ids[p.ID] = true
	}
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 30 {
		t.Errorf("dashboard %q %q, version %d", d.UID, d.Title, d.SchemaVersion)
	}
}
