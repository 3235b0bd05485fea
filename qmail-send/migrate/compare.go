package migrate

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"postrider/internal/legible"
	"postrider/internal/migrate"
	"postrider/internal/migrate/ours"
)

// maxAddress is the longest line of a file of addresses.
const maxAddress = 64 << 10

// compare asks both systems about addresses, and shows those about which they do
// not agree.
func (r *run) compare(tree *migrate.Tree, site *migrate.Site, old migrate.Judge) error {
	judge, err := ours.New(tree, r.with, r.world.Home)
	if err != nil {
		return err
	}
	defer judge.Close() // was only read
	probes := site.Probes
	if r.list != "" {
		more, err := addresses(r.list)
		if err != nil {
			return err
		}
		probes = append(probes, more...)
	}
	different := 0
	out := json.NewEncoder(legible.JSON(r.out))
	asked, err := migrate.Compare(old, judge, probes, func(d migrate.Difference) error {
		different++
		if r.json {
			return out.Encode(d)
		}
		_, err := fmt.Fprintf(r.out, "%s\n    %s: %s\n    here: %s\n", legible.Line(d.Address), site.System, legible.Line(d.Old.String()), legible.Line(d.New.String()))
		return err
	})
	if err != nil {
		return err
	}
	if r.json {
		err = out.Encode(map[string]int{"asked": asked, "different": different})
	} else {
		_, err = fmt.Fprintf(r.out, "%d addresses, %d differences\n", asked, different)
	}
	if err == nil && different > 0 {
		err = errDifferent
	}
	return err
}

// addresses reads a file with one in each line.
func addresses(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // was only read
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxAddress)
	var all []string
	for lines.Scan() {
		if a := strings.TrimSpace(lines.Text()); a != "" && a[0] != '#' {
			all = append(all, a)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}
