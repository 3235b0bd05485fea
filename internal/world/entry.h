#include "textflag.h"

#define RLIMIT_DATA 2
#define RLIMIT_AS 9

// With less no program starts (one that does nothing, Go 1.26).
#define LEAST_DATA (40<<20)
#define LEAST_AS (700<<20)

#define EXIT_CODE 111
#define TOO_LOW_LENGTH 96

// What is said on standard error where a hard limit is less than that.
DATA tooLowText<>+0(SB)/8, $"no memor"
DATA tooLowText<>+8(SB)/8, $"y to run"
DATA tooLowText<>+16(SB)/8, $" in: the"
DATA tooLowText<>+24(SB)/8, $" hard li"
DATA tooLowText<>+32(SB)/8, $"mits (ul"
DATA tooLowText<>+40(SB)/8, $"imit -Hv"
DATA tooLowText<>+48(SB)/8, $" and -Hd"
DATA tooLowText<>+56(SB)/8, $") must b"
DATA tooLowText<>+64(SB)/8, $"e 100000"
DATA tooLowText<>+72(SB)/8, $"0 kB eac"
DATA tooLowText<>+80(SB)/8, $"h, or un"
DATA tooLowText<>+88(SB)/8, $"limited\n"
GLOBL tooLowText<>(SB), RODATA|NOPTR, $TOO_LOW_LENGTH
