// Package picture is what qmail-top shows: what is known, and how that looks on a
// screen of any size.
//
// qmail-top imports it. It reads no clock and no file and asks nobody: a picture is
// a function of the model, of what whoever looks at it has chosen, and of a size.
// Nothing but printable ASCII gets onto it: canvas.put is the only way there.
//
// Files: model.go (what is known), view.go (where), blocks.go (what), canvas.go
// (cells), keys.go (what keys change).
package picture
