#include "entry.h"

#define SYS_write 1
#define SYS_exit_group 231
#define SYS_prlimit64 302

// RAISE makes the soft limit of a resource the hard one, unless that is too low.
// At SP is room for the two; one that cannot be read is none.
#define RAISE(resource, least) \
	MOVQ	$-1, 8(SP); \
	XORL	DI, DI; \
	MOVL	$resource, SI; \
	XORL	DX, DX; \
	MOVQ	SP, R10; \
	MOVL	$SYS_prlimit64, AX; \
	SYSCALL; \
	MOVQ	8(SP), AX; \
	CMPQ	AX, $least; \
	JCS	tooLow; \
	MOVQ	AX, 0(SP); \
	XORL	DI, DI; \
	MOVL	$resource, SI; \
	MOVQ	SP, DX; \
	XORL	R10, R10; \
	MOVL	$SYS_prlimit64, AX; \
	SYSCALL

// _postrider_entry is where the kernel begins, with the arguments at SP, as
// Go's own beginning wants them.
TEXT _postrider_entry(SB), NOSPLIT|NOFRAME, $0
	SUBQ	$16, SP
	RAISE(RLIMIT_AS, LEAST_AS)
	RAISE(RLIMIT_DATA, LEAST_DATA)
	ADDQ	$16, SP
	JMP	_rt0_amd64_linux(SB)

tooLow:
	MOVL	$2, DI
	LEAQ	tooLowText<>(SB), SI
	MOVL	$TOO_LOW_LENGTH, DX
	MOVL	$SYS_write, AX
	SYSCALL
	MOVL	$EXIT_CODE, DI
	MOVL	$SYS_exit_group, AX
	SYSCALL
	INT	$3
