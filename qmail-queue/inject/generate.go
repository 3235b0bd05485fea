package inject

import (
	"fmt"
	"strings"

	"postrider/internal/header"
	"postrider/internal/maildate"
)

// generate writes the fields that the message lacks, in qmail's order: Date,
// Message-ID, From, one that says that there are recipients, Mail-Followup-To.
func (c *composer) generate() error {
	var b strings.Builder
	prefix := c.survey.prefix()
	if !c.survey.has("Date") {
		b.WriteString(prefix + "Date: " + maildate.Header(c.now) + "\n")
	}
	if !c.survey.has("Message-ID") {
		fmt.Fprintf(&b, "%sMessage-ID: <%s.%d.qmail@%s>\n", prefix, c.now.UTC().Format("20060102150405"), c.pid, c.rules.idHost)
	}
	if !c.survey.has("From") {
		line, err := c.from()
		if err != nil {
			return err
		}
		b.WriteString(prefix + "From: " + line + "\n")
	}
	if !c.survey.has("To") && !c.survey.has("Cc") {
		b.WriteString(prefix + "Cc: recipient list not shown: ;\n")
	}
	if _, err := c.out.WriteString(b.String()); err != nil {
		return err
	}
	return c.followupTo()
}

// from returns the address of the user, with the full name if there is one.
func (c *composer) from() (string, error) {
	a, err := c.ownAddress(c.id.user, c.id.host)
	if err != nil {
		return "", err
	}
	switch {
	case c.id.name == "":
		return a.Quoted(), nil
	case c.letters.commentName:
		escape := strings.NewReplacer("(", `\(`, ")", `\)`, `\`, `\\`)
		return a.Quoted() + " (" + escape.Replace(c.id.name) + ")", nil
	}
	name := header.AppendString(nil, c.id.name)
	return string(name) + " <" + a.Quoted() + ">", nil
}
