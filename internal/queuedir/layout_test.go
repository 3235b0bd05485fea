package queuedir

import "testing"

// TestLayout: where things are on disk, which other releases and the
// documents rely on.
func TestLayout(t *testing.T) {
	t.Parallel()
	l := At("/var/qmail")
	id := testID.String()
	for _, c := range []struct{ got, want string }{
		{l.Root, "/var/qmail/queue"},
		{l.Tmp(), "/var/qmail/queue/tmp"},
		{l.Answered(), "/var/qmail/queue/tmp/answered"},
		{l.NewDir("07"), "/var/qmail/queue/new/07"},
		{l.Entry(testID), "/var/qmail/queue/new/07/" + id},
		{l.Staged(testID), "/var/qmail/queue/new/07/." + id},
		{l.Body(testID), "/var/qmail/queue/new/07/" + id + ".body"},
		{l.InfoDir("99"), "/var/qmail/queue/info/99"},
		{l.Info(testID), "/var/qmail/queue/info/07/" + id},
		{l.Bad(), "/var/qmail/queue/bad"},
		{l.BadUnacked(), "/var/qmail/queue/bad/unacked"},
		{l.Drop(), "/var/qmail/queue/drop"},
		{l.Socket(), "/var/qmail/queue/submit.sock"},
		{l.Manage(), "/var/qmail/queue/manage.sock"},
		{l.SpoolLock(), "/var/qmail/queue/lock/spool"},
		{l.SendLock(), "/var/qmail/queue/lock/sendmutex"},
		{BucketName(7), "07"},
		{BucketName(99), "99"},
		{BucketName(107), "07"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}
