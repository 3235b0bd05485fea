package sendmail

import (
	"strings"
)

// fromCF is what a sendmail.cf says as the calls of macros that could have made it.
// Rules are not looked at.
func fromCF(text string) []call {
	var all []call
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, " \t\r\n")
		if len(line) < 2 || len(all) == maxCalls {
			continue
		}
		add := func(name string, args ...string) { all = append(all, call{name, args, number}) }
		switch rest := line[1:]; line[0] {
		case 'O':
			name, value, found := strings.Cut(strings.TrimSpace(rest), "=")
			if macro := optionMacros[name]; found && macro != "" {
				add("define", macro, value)
			}
		case 'D':
			switch rest[0] {
			case 'j':
				add("define", "confDOMAIN_NAME", rest[1:])
			case 'S':
				add("define", "SMART_HOST", rest[1:])
			case 'M':
				add("MASQUERADE_AS", rest[1:])
			case 'L':
				add("define", "LUSER_RELAY", rest[1:])
			}
		case 'C':
			if rest[0] == 'w' {
				add("LOCAL_DOMAIN", strings.TrimSpace(rest[1:]))
			} else if name, found := strings.CutPrefix(rest, "{VirtHost}"); found {
				add("VIRTUSER_DOMAIN", strings.TrimSpace(name))
			}
		case 'F':
			if name, file, found := classFile(rest); found {
				add(name, file)
			}
		case 'K':
			f := strings.Fields(rest)
			if len(f) >= 3 && tableFeatures[f[0]] != "" {
				add("FEATURE", tableFeatures[f[0]], strings.Join(f[1:], " "))
			}
		}
	}
	return all
}

// classFile reads Fw/etc/mail/local-host-names and FR-o /etc/mail/relay-domains.
func classFile(rest string) (name, file string, found bool) {
	switch {
	case strings.HasPrefix(rest, "w"):
		name, rest = "class-w-file", rest[1:]
	case strings.HasPrefix(rest, "R"):
		name, rest = "RELAY_DOMAIN_FILE", rest[1:]
	case strings.HasPrefix(rest, "{VirtHost}"):
		name, rest = "VIRTUSER_DOMAIN_FILE", strings.TrimPrefix(rest, "{VirtHost}")
	default:
		return "", "", false
	}
	f := strings.Fields(rest)
	if len(f) == 0 || !strings.HasPrefix(f[len(f)-1], "/") && !strings.HasPrefix(f[0], "/") {
		return "", "", false
	}
	file = f[len(f)-1]
	if strings.HasPrefix(f[0], "/") {
		file = f[0]
	}
	return name, file, true
}

// tableFeatures are the features of the tables that a K line names.
var tableFeatures = map[string]string{
	"virtuser": "virtusertable", "mailertable": "mailertable", "access": "access_db",
	"domaintable": "domaintable", "generics": "genericstable",
}

// optionMacros are the names that options have in sendmail.mc.
var optionMacros = map[string]string{
	"AliasFile": "ALIAS_FILE", "MaxMessageSize": "confMAX_MESSAGE_SIZE", "MaxRecipientsPerMessage": "confMAX_RCPTS_PER_MESSAGE",
	"ConnectionRateThrottle": "confCONNECTION_RATE_THROTTLE", "MaxDaemonChildren": "confMAX_DAEMON_CHILDREN",
	"SmtpGreetingMessage": "confSMTP_LOGIN_MSG", "MinFreeBlocks": "confMIN_FREE_BLOCKS", "DoubleBounceAddress": "confDOUBLE_BOUNCE_ADDRESS",
	"Timeout.queuereturn": "confTO_QUEUERETURN", "Timeout.queuewarn": "confTO_QUEUEWARN", "Timeout.connect": "confTO_CONNECT",
	"Timeout.initial": "confTO_INITIAL", "Timeout.helo": "confTO_HELO", "Timeout.mail": "confTO_MAIL", "Timeout.rcpt": "confTO_RCPT",
	"Timeout.datainit": "confTO_DATAINIT", "Timeout.datablock": "confTO_DATABLOCK", "Timeout.datafinal": "confTO_DATAFINAL",
	"Timeout.command": "confTO_COMMAND", "DaemonPortOptions": "confDAEMON_PORT", "ServerCertFile": "confSERVER_CERT",
	"ServerKeyFile": "confSERVER_KEY", "AuthMechanisms": "confAUTH_MECHANISMS", "InputMailFilters": "confINPUT_MAIL_FILTERS",
	"PrivacyOptions": "confPRIVACY_FLAGS", "MaxHeadersLength": "confMAX_HEADERS_LENGTH", "BadRcptThrottle": "confBAD_RCPT_THROTTLE",
	"RetryFactor": "confMIN_QUEUE_AGE", "MinQueueAge": "confMIN_QUEUE_AGE", "ForwardPath": "confFORWARD_PATH",
	"ClientPortOptions": "confCLIENT_OPTIONS", "HostsFile": "confHOSTS_FILE", "DontBlameSendmail": "confDONT_BLAME_SENDMAIL",
	"TrustedUser": "confTRUSTED_USER", "DefaultUser": "confDEF_USER_ID", "CACertFile": "confCACERT", "CACertPath": "confCACERT_PATH",
	"ClientCertFile": "confCLIENT_CERT", "ClientKeyFile": "confCLIENT_KEY", "MaxHopCount": "confMAX_HOP", "QueueLA": "confQUEUE_LA", "RefuseLA": "confREFUSE_LA",
}
