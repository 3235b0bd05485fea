package route

import "testing"

func BenchmarkOf(b *testing.B) {
	table := vectorTable()
	b.ReportAllocs()
	for b.Loop() {
		for _, recipient := range []string{"a@loc.example.org", "info@virt.example.org", "b@rem.org"} {
			table.Of(recipient)
		}
	}
}
