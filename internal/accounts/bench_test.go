package accounts

import "testing"

func BenchmarkUsersDB(b *testing.B) {
	db := NewUsersDB(usersDB(b,
		[2]string{"!joe\x00", user("joe", "1001", "1002", "/home/joe", "", "")}, [2]string{"", "-"}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := db.Lookup("joe"); err != nil {
			b.Fatal(err)
		}
	}
}
