package smtpd

import "testing"

func BenchmarkParse(b *testing.B) {
	b.Run("path", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := parsePath("FROM:<someone@client.example.org> SIZE=4230 BODY=8BITMIME", "FROM"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parameters", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, refused := parseMailParameters("SIZE=4230 BODY=8BITMIME", true); refused != nil {
				b.Fatal(*refused)
			}
		}
	})
}
