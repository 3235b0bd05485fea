package qmtp

// ExamineQMTP reads all settings as qmail-qmtpd does. With an error no mail is
// taken.
func ExamineQMTP(home string) (warnings []string, err error) { return examined(qmtpSettings(home)) }

// ExamineQMQP is the same for qmail-qmqpd.
func ExamineQMQP(home string) (warnings []string, err error) { return examined(qmqpSettings(home)) }

func examined(s *settings, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	return s.warnings, nil
}
