#include "entry.h"

#define SYS_write 64
#define SYS_exit_group 94
#define SYS_prlimit64 261

// RAISE makes the soft limit of a resource the hard one, unless that is too low.
// At RSP is room for the two; one that cannot be read is none.
#define RAISE(resource, least) \
	MOVD	$-1, R4; \
	MOVD	R4, 8(RSP); \
	MOVD	$0, R0; \
	MOVD	$resource, R1; \
	MOVD	$0, R2; \
	MOVD	RSP, R3; \
	MOVD	$SYS_prlimit64, R8; \
	SVC; \
	MOVD	8(RSP), R4; \
	MOVD	$least, R5; \
	CMP	R5, R4; \
	BLO	tooLow; \
	MOVD	R4, 0(RSP); \
	MOVD	$0, R0; \
	MOVD	$resource, R1; \
	MOVD	RSP, R2; \
	MOVD	$0, R3; \
	MOVD	$SYS_prlimit64, R8; \
	SVC

// _postrider_entry is where the kernel begins, with the arguments at RSP, as
// Go's own beginning wants them.
TEXT _postrider_entry(SB), NOSPLIT|NOFRAME, $0
	SUB	$16, RSP
	RAISE(RLIMIT_AS, LEAST_AS)
	RAISE(RLIMIT_DATA, LEAST_DATA)
	ADD	$16, RSP
	JMP	_rt0_arm64_linux(SB)

tooLow:
	MOVD	$2, R0
	MOVD	$tooLowText<>(SB), R1
	MOVD	$TOO_LOW_LENGTH, R2
	MOVD	$SYS_write, R8
	SVC
	MOVD	$EXIT_CODE, R0
	MOVD	$SYS_exit_group, R8
	SVC
	UNDEF
