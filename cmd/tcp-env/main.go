// Tcp-env sets the variables of a TCP connection for a program under inetd.
//
//	Runs as      as inetd says
//	Started by   inetd, for each connection
//	Reads        the addresses of descriptor 0; /etc/resolv.conf; answers of
//	             name servers and of the client's ident server (hostile)
//	Writes       standard error
//	May          ask DNS; connect to port 113 of the client; become the program
//	             that its arguments name
//	Must not     read from the client
//	Trusts       its arguments
//	If captured  what its caller and the program may
package main

import (
	"os"

	"postrider/internal/world"
	"postrider/smtpd/tcpenv"
)

func main() { os.Exit(tcpenv.Main(world.Real())) }
