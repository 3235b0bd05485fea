package retry

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"postrider/internal/route"
	"postrider/qmail-send/timeline"
)

// Curve says at which ages a message is tried again: they follow from its
// birth alone, so that nothing must be remembered, no restart changes them, and
// messages that were born apart stay apart (R65).
type Curve struct {
	// root makes attempts at the ages (root*k)² s, qmail's curve (spec 2.5),
	// if it is not 0. Else they are at these ages, ascending, and after the
	// last at its distance from the one before.
	root int64
	ages []time.Duration
}

// quadratic returns qmail's curve of a channel.
func quadratic(c route.Channel) Curve { return Curve{root: retrySkip[c]} }

// last returns the last age and the distance from then on.
func (cv Curve) last() (age, every time.Duration) {
	n := len(cv.ages)
	age, every = cv.ages[n-1], cv.ages[n-1]
	if n > 1 {
		every -= cv.ages[n-2]
	}
	return age, every
}

// Next returns when a message is tried again of which a pass starts at now.
func (cv Curve) Next(birth, now timeline.Moment) timeline.Moment {
	if cv.root > 0 {
		root := isqrt(ageSeconds(birth, now)) + cv.root
		return birth.Add(time.Duration(root*root) * time.Second)
	}
	return cv.NotBefore(birth, now+1)
}

// NotBefore returns the first attempt that is not before t.
func (cv Curve) NotBefore(birth, t timeline.Moment) timeline.Moment {
	if cv.root > 0 {
		return cv.quadraticNotBefore(birth, t)
	}
	age := time.Duration(max(0, t-birth))
	if age == 0 {
		return birth
	}
	if i, _ := slices.BinarySearch(cv.ages, age); i < len(cv.ages) {
		return birth.Add(cv.ages[i])
	}
	last, every := cv.last()
	return birth.Add(last + (age-last+every-1)/every*every)
}

func (cv Curve) quadraticNotBefore(birth, t timeline.Moment) timeline.Moment {
	age := max(0, int64(t-birth)+int64(time.Second)-1) / int64(time.Second)
	k := isqrt(age) / cv.root * cv.root
	for k*k < age {
		k += cv.root
	}
	return birth.Add(time.Duration(k*k) * time.Second)
}

// Attempts returns how many follow the first one up to the moment t.
func (cv Curve) Attempts(birth, t timeline.Moment) int64 {
	if cv.root > 0 {
		return isqrt(ageSeconds(birth, t)) / cv.root
	}
	age := time.Duration(max(0, t-birth))
	i, exact := slices.BinarySearch(cv.ages, age)
	if exact {
		return int64(i + 1)
	}
	if i < len(cv.ages) {
		return int64(i)
	}
	last, every := cv.last()
	return int64(i) + int64((age-last)/every)
}

// Limits of a curve in a control file.
const (
	maxSteps = 50
	minStep  = time.Second
	maxStep  = 30 * 24 * time.Hour
)

// parseCurve reads the distances between attempts, "5m 15m 1h", of which the
// last one repeats; or "quadratic", which is the zero curve here: it is the
// channel's.
func parseCurve(words []string) (Curve, error) {
	if len(words) == 1 && words[0] == "quadratic" {
		return Curve{}, nil
	}
	if len(words) == 0 || len(words) > maxSteps {
		return Curve{}, fmt.Errorf("a schedule is \"quadratic\", or 1 to %d times", maxSteps)
	}
	var cv Curve
	var age time.Duration
	for _, word := range words {
		step, err := parseSpan(word)
		if err != nil {
			return Curve{}, err
		}
		age += step
		cv.ages = append(cv.ages, age)
	}
	return cv, nil
}

var spans = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

var errSpan = errors.New("no time: a number and s, m, h or d, from 1s to 30d")

// parseSpan reads "90s", "5m", "2h" or "1d".
func parseSpan(word string) (time.Duration, error) {
	if len(word) < 2 {
		return 0, fmt.Errorf("%q is %w", word, errSpan)
	}
	unit, known := spans[word[len(word)-1]]
	n, err := strconv.ParseUint(word[:len(word)-1], 10, 31)
	if !known || err != nil {
		return 0, fmt.Errorf("%q is %w", word, errSpan)
	}
	step := time.Duration(n) * unit
	if n > uint64(maxStep/time.Second) || step < minStep || step > maxStep {
		return 0, fmt.Errorf("%q is %w", word, errSpan)
	}
	return step, nil
}

// retrySkip makes attempts at age 100 k² s local and 400 k² s remote.
var retrySkip = [route.Channels]int64{route.Local: 10, route.Remote: 20}

func ageSeconds(birth, now timeline.Moment) int64 {
	return max(0, int64(now-birth)/int64(time.Second))
}

// isqrt returns the floor of the square root, at most 65535 as qmail's.
func isqrt(n int64) int64 {
	if n >= 1<<32 {
		return 1<<16 - 1
	}
	root := int64(math.Sqrt(float64(n)))
	for root*root > n {
		root--
	}
	for (root+1)*(root+1) <= n {
		root++
	}
	return root
}
