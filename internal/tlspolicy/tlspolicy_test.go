package tlspolicy

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"postrider/internal/control"
)

const someHash = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func read(t *testing.T, text string) (Table, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/"+File, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Read(control.Dir(dir))
}

func TestFor(t *testing.T) {
	t.Parallel()
	table, err := read(t, `# how mail goes
Bank.Example:verify mx.bank.example .Bank.example
.bank.example:encrypt oldtls
pin.example: pin `+someHash+`
lab.example:none
müller.example:dane-only
own.example:verify
:dane
`)
	if err != nil {
		t.Fatal(err)
	}
	pin := Hash{}
	for i := range pin {
		pin[i] = byte(i)
	}
	for domain, want := range map[string]Policy{
		"bank.example":          {Level: Verify, Names: []string{"mx.bank.example", ".bank.example"}, Line: "bank.example:verify mx.bank.example .Bank.example"},
		"BANK.EXAMPLE":          {Level: Verify, Names: []string{"mx.bank.example", ".bank.example"}, Line: "bank.example:verify mx.bank.example .Bank.example"},
		"a.b.bank.example":      {Level: Encrypt, Old: true, Line: ".bank.example:encrypt oldtls"},
		"pin.example":           {Level: Pin, Pins: []Hash{pin}, Line: "pin.example:pin " + someHash},
		"lab.example":           {Level: None, Line: "lab.example:none"},
		"xn--mller-kva.example": {Level: DANEOnly, Line: "xn--mller-kva.example:dane-only"},
		"own.example":           {Level: Verify, Line: "own.example:verify"},
		"sub.own.example":       {Level: DANE, Line: ":dane"},
		"notbank.example":       {Level: DANE, Line: ":dane"},
		"":                      {Level: DANE, Line: ":dane"},
	} {
		if got := table.For(domain); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, want %+v", domain, got, want)
		}
	}
	if got := (Table{}).For("bank.example"); !reflect.DeepEqual(got, Policy{}) {
		t.Errorf("without a file: %+v", got)
	}
}

func TestWrongLines(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"bank.example", "bank.example:", "bank.example:maybe", "bank.example:Verify", "bank.example:encrypt mx.example",
		"bank.example:none oldtls", "bank.example:verify m_x!", "bank.example:verify .", "bank.example:verify a..b",
		"bank.example:pin", "bank.example:pin 0011", "bank.example:pin " + someHash + "00", "bank.example:pin x" + someHash[1:],
		"ba nk.example:may", "a..b:may", ".:may", "bank.example:may\nBANK.example:may", ":may\n:none",
		"bank.example:verify" + strings.Repeat(" mx.example", maxWords), "bank.example:may oldtls oldtls",
	} {
		if _, err := read(t, line); err == nil {
			t.Errorf("%q: is taken", line)
		}
	}
}

func TestNoFile(t *testing.T) {
	t.Parallel()
	table, err := Read(control.Dir(t.TempDir()))
	if err != nil || table.For("x.example").Level != May {
		t.Errorf("%v, %v", table, err)
	}
}

func FuzzLine(f *testing.F) {
	for _, line := range []string{"a.example:verify b.example", ":dane", ".x:pin " + someHash, "é.example:may oldtls", "x:encrypt"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		table := Table{byDomain: make(map[string]Policy)}
		if table.add(line) != nil {
			if len(table.byDomain) > 0 {
				t.Fatal("a wrong line has left something")
			}
			return
		}
		for domain, p := range table.byDomain {
			again := Table{byDomain: make(map[string]Policy)}
			if err := again.add(p.Line); err != nil {
				t.Fatalf("%q: %v", p.Line, err)
			}
			if got := again.For(strings.TrimPrefix(domain, ".") /* itself, or nothing */); domain != "" && domain[0] != '.' && !reflect.DeepEqual(got, p) {
				t.Fatalf("got %+v, want %+v", got, p)
			}
			if p.Level == Pin && len(p.Pins) == 0 {
				t.Fatal("no pin")
			}
		}
	})
}
