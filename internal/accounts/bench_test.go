package accounts

import (
	"fmt"
	"testing"
)

func BenchmarkUsersDB(b *testing.B) {
	for _, users := range []int{100, 100_000} {
		b.Run(fmt.Sprint("of ", users), func(b *testing.B) {
			db := NewUsersDB(usersDB(b, manyUsers(users)...))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := db.Lookup(fmt.Sprintf("user%d", i*7919%users)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
