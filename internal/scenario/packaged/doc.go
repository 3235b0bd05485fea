// Package packaged is the life of the Debian package: installed by dpkg and
// started by its init script, with mail in and out; upgraded and downgraded under
// load, removed, installed again, and purged. All in a copy of this machine's root that
// nobody else sees (an overlay), with processes and network of its own.
package packaged
