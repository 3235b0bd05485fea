# Postrider. "make" needs Go and nothing else; see README.md.

PREFIX  = /var/qmail
DESTDIR =
BUILD   = build
GO      = go
MAN     = $(DESTDIR)$(PREFIX)/man

# Static programs; the home directory is the one path that is compiled in. Where
# internal/world has a beginning for the processor, they begin there.
ENTRY_amd64 = -E _postrider_entry
ENTRY_arm64 = -E _postrider_entry
ENTRY       = $(ENTRY_$(shell $(GO) env GOARCH))
BUILDFLAGS  = -trimpath -ldflags '-s -w $(ENTRY) -X postrider/internal/qmailhome.Dir=$(PREFIX)'

all:
	mkdir -p '$(BUILD)'
	CGO_ENABLED=0 $(GO) build $(BUILDFLAGS) -o '$(BUILD)/' ./cmd/...

# One package at a time: hosts of two packages at once wait for each other longer
# than a name server is waited for.
test:
	CGO_ENABLED=0 $(GO) vet ./...
	CGO_ENABLED=0 $(GO) test -p 1 -timeout 40m ./...

# The tests under Go's race detector, which needs a C compiler; but for those that
# only look at installed programs from outside.
race:
	CGO_ENABLED=1 $(GO) test -race -timeout 40m $$($(GO) list ./... | grep -Ev '/internal/($(NORACE))')

NORACE = scenario|killtest|powercut|bench

# The tests of faults and attacks alone, with what they counted; as root.
# FAULTS=long is the long form: hours, to be run by hand.
FAULTS = bounded
test-faults:
	CGO_ENABLED=0 FAULTS=$(FAULTS) $(GO) test -v -count=1 -timeout 12h $(FAULTTESTS)

FAULTTESTS = ./internal/scenario/... ./internal/killtest ./internal/powercut

# Every fuzz target for FUZZTIME on all processors, one after the other.
FUZZTIME = 10m
fuzz:
	internal/fuzz/run -t $(FUZZTIME)

# All workloads and mail systems, into docs/performance.md; as root.
# BENCHFLAGS=--quick takes under three minutes and writes nothing.
bench:
	internal/bench/run $(BENCHFLAGS)

# Put the programs and manual pages in place. With DESTDIR, a package is made.
install: all
	'$(BUILD)/qmail-setup' -d '$(DESTDIR)' -i '$(BUILD)'
	umask 022 && cd docs/man && for p in *; do d="$(MAN)/man$${p##*.}"; \
		mkdir -p "$$d" && cp "$$p" "$$d/$$p.new" && chmod 644 "$$d/$$p.new" && mv "$$d/$$p.new" "$$d/$$p" || exit 1; done

# Remove the programs, of a suite that was stopped, and the links to its sendmail.
# Settings, queue, users and mail stay.
uninstall:
	cd cmd && for p in *; do rm -f "$(DESTDIR)$(PREFIX)/bin/$$p"; done
	cd docs/man && for p in *; do rm -f "$(MAN)/man$${p##*.}/$$p"; done
	rmdir '$(DESTDIR)$(PREFIX)/bin' '$(MAN)'/man? '$(MAN)' 2>/dev/null || true
	for l in /usr/sbin/sendmail /usr/lib/sendmail; do \
		if [ "$$(readlink "$(DESTDIR)$$l")" = '$(PREFIX)/bin/sendmail' ]; then rm "$(DESTDIR)$$l"; fi; done

# A Debian package, in $(BUILD)/deb. DEBVERSION is its version.
DEBVERSION = 0~$$(date -u -d @$$(git log -1 --format=%ct) +%Y%m%d%H%M)
deb: all
	contrib/debian/build '$(BUILD)' "$(DEBVERSION)" '$(BUILD)/deb'

# Make users, groups, directories and a first configuration; again does no harm.
setup: all
	'$(BUILD)/qmail-setup' -d '$(DESTDIR)'

# A complete server below ./run, in the foreground, until Ctrl-C.
run:
	CGO_ENABLED=0 $(GO) run ./contrib/tryout

clean:
	rm -rf '$(BUILD)'

.PHONY: all test race test-faults fuzz bench install uninstall deb setup run clean
