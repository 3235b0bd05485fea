// Package getopt reads command lines in the classic way (spec section 0.3):
// one-letter options that may be clustered, an argument attached or in the
// next word, "--" or the first other word ends the options, a lone "-" is such
// a word.
//
// Who may import it: the programs of the suite. It imports nothing.
//
// Input is whatever the user typed. A wrong option is an error for the caller
// to show behind its own name, as in "qmail-inject: illegal option -- x".
//
// Files:
//
//	getopt.go  all of it
package getopt
