package inject

import "postrider/internal/world"

// Examine reads all settings as the program does for a message. With an error it
// takes none.
func Examine(home string) (warnings []string, err error) {
	_, err = readRules(world.World{Home: home})
	return nil, err
}
