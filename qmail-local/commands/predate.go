package commands

import "postrider/internal/world"

// PreDate is predate: it puts a Date field in local time before a message and
// hands that to a program.
func PreDate(w world.World) int {
	if len(w.Args) < 2 {
		return usage(w, "predate program [arg ...]")
	}
	return feed(w, "predate", dateField(w), w.Args[1:])
}

// DateMail is datemail: predate in front of sendmail.
func DateMail(w world.World) int {
	return feed(w, "datemail", dateField(w), append([]string{w.Home + "/bin/sendmail"}, w.Args[1:]...))
}

func dateField(w world.World) string {
	return "Date: " + w.Clock.Now().Local().Format("2 Jan 2006 15:04:05 -0700") + "\n"
}
