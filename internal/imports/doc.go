// Package imports holds the tests of the architecture: what each package may
// import, and what each program may link. It has no code of its own.
//
// Every package of the module stands in the table of floors, every program in
// the table of bans. A new one fails the tests until somebody decides where it
// belongs.
//
// Files: floors_test.go (imports), links_test.go (what a program links),
// control_test.go, requirements_test.go and security_test.go (pages against the
// code), source_test.go (reading the module).
package imports
