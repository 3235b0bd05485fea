package smtpd

import "postrider/internal/world"

type programs struct{ world world.World }

func (p programs) begin() (submission, error) { return nil, errNoSpool }
