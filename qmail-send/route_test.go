package qmailsend

import "testing"

// vectorRouter is the configuration of spec Appendix A.1.
func vectorRouter() *router {
	return &router{
		locals: map[string]bool{"loc.example.org": true},
		virtual: map[string]string{
			"virt.example.org":    "joe-v",
			"user@v2.example.org": "jim",
			".sub.example.org":    "sub",
			"x.sub.example.org":   "",
		},
		percentHack: map[string]bool{"pct.example.org": true},
		envNoAtHost: "me.example.org",
	}
}

func TestRoute(t *testing.T) {
	t.Parallel()
	vector := vectorRouter()
	catchAll := &router{
		locals:      map[string]bool{"host.org": true, "": false},
		virtual:     map[string]string{"": "all", "host.org": "never", ".de": "de", "user@b.de": "one", "empty.org": ""},
		percentHack: map[string]bool{"host.org": true, "other.org": true},
		envNoAtHost: "Host.ORG",
	}
	for _, tc := range []struct {
		name    string
		router  *router
		in      string
		channel channelID
		out     string
	}{
		{"A.1 local", vector, "a@loc.example.org", local, "a@loc.example.org"},
		{"A.1 virtual domain", vector, "info@virt.example.org", local, "joe-v-info@virt.example.org"},
		{"A.1 virtual user, case kept", vector, "USER@V2.example.org", local, "jim-USER@V2.example.org"},
		{"A.1 another user of that domain", vector, "o@v2.example.org", remote, "o@v2.example.org"},
		{"A.1 empty value ends the search", vector, "q@x.sub.example.org", remote, "q@x.sub.example.org"},
		{"A.1 suffix", vector, "q@y.sub.example.org", local, "sub-q@y.sub.example.org"},
		{"A.1 percenthack", vector, "a%rem.org@pct.example.org", remote, "a@rem.org"},
		{"A.1 no @", vector, "noat", remote, "noat@me.example.org"},
		{"A.1 remote", vector, "b@rem.org", remote, "b@rem.org"},
		{"suffix does not match the domain itself", vector, "q@sub.example.org", remote, "q@sub.example.org"},
		{"local in any case", vector, "A@LOC.Example.org", local, "A@LOC.Example.org"},
		{"local beats virtual", catchAll, "x@host.org", local, "x@host.org"},
		{"no @ and local", catchAll, "x", local, "x@Host.ORG"},
		{"percenthack twice", catchAll, "a%b.com%other.org@host.org", local, "all-a@b.com"},
		{"percenthack with no percent", catchAll, "a@other.org", local, "all-a@other.org"},
		{"percenthack takes the last percent", catchAll, "a%b%c.com@host.org", local, "all-a%b@c.com"},
		{"catch-all", catchAll, "a@anything.com", local, "all-a@anything.com"},
		{"longest first", catchAll, "a@b.de", local, "de-a@b.de"},
		{"whole address first", catchAll, "USER@B.DE", local, "one-USER@B.DE"},
		{"empty value beats the catch-all", catchAll, "a@empty.org", remote, "a@empty.org"},
		{"last @ counts", vector, "a@loc.example.org@rem.org", remote, "a@loc.example.org@rem.org"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			channel, out := tc.router.route(tc.in)
			if channel != tc.channel || out != tc.out {
				t.Errorf("route(%q) = %d, %q; want %d, %q", tc.in, channel, out, tc.channel, tc.out)
			}
		})
	}
}

func TestStrip(t *testing.T) {
	t.Parallel()
	r := vectorRouter()
	for _, tc := range []struct{ name, in, want string }{
		{"virtual domain", "joe-v-info@virt.example.org", "info@virt.example.org"},
		{"suffix", "sub-q@y.sub.example.org", "q@y.sub.example.org"},
		{"not for a user@domain line", "jim-USER@V2.example.org", "jim-USER@V2.example.org"},
		{"another prefix", "joe-w@virt.example.org", "joe-w@virt.example.org"},
		{"no dash", "joe-vx@virt.example.org", "joe-vx@virt.example.org"},
		{"empty value", "x-q@x.sub.example.org", "x-q@x.sub.example.org"},
		{"not virtual", "a@rem.org", "a@rem.org"},
		{"no @", "a", "a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := r.strip(tc.in); got != tc.want {
				t.Errorf("strip(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func TestExpandSender(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, sender, recipient, want, bounceTo string }{
		{"A.1", "list-@h.org-@[]", "o@v2.example.org", "list-o=v2.example.org@h.org", "list-@h.org"},
		{"the prepend leaks", "list-@h.org-@[]", "joe-v-info@virt.example.org", "list-joe-v-info=virt.example.org@h.org", "list-@h.org"},
		{"last @ of the recipient", "l@h-@[]", "a@b@c", "la@b=c@h", "l@h"},
		{"last @ of the sender", "l@x@h-@[]", "a@c", "l@xa=c@h", "l@x@h"},
		{"no earlier @", "list-@[]", "a@c", "list-@[]", "list"},
		{"plain", "joe@h.org", "a@c", "joe@h.org", "joe@h.org"},
		{"null", "", "a@c", "", ""},
		{"double bounce", "#@[]", "a@c", "#@[]", "#@[]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := expandSender(tc.sender, tc.recipient); got != tc.want {
				t.Errorf("expandSender = %q, want %q", got, tc.want)
			}
			if got := bounceSender(tc.sender); got != tc.bounceTo {
				t.Errorf("bounceSender = %q, want %q", got, tc.bounceTo)
			}
			if got, want := isVERP(tc.sender), tc.want != tc.sender; got != want {
				t.Errorf("isVERP = %v", got)
			}
		})
	}
}

func FuzzRoute(f *testing.F) {
	f.Add("a%rem.org@pct.example.org", "list-@h.org-@[]")
	f.Add("noat", "-@[]")
	f.Add("", "")
	r := vectorRouter()
	f.Fuzz(func(t *testing.T, recipient, sender string) {
		_, rewritten := r.route(recipient)
		r.strip(rewritten)
		expandSender(sender, rewritten)
		bounceSender(sender)
	})
}
