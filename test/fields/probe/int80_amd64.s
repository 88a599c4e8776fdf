#include "textflag.h"

// func gate(number, a, b, c, d, e, f uint32) int32
// The kernel clears or keeps r8 to r15 as it likes (entry_INT80_compat); Go expects g in r14, and BP kept.
TEXT ·gate(SB), NOSPLIT, $16-36
	MOVL number+0(FP), AX
	MOVL a+4(FP), BX
	MOVL b+8(FP), CX
	MOVL c+12(FP), DX
	MOVL d+16(FP), SI
	MOVL e+20(FP), DI
	MOVL f+24(FP), R9
	MOVQ R14, 8(SP)
	MOVQ BP, 0(SP)
	MOVL R9, BP
	INT  $0x80
	MOVQ 0(SP), BP
	MOVQ 8(SP), R14
	MOVL AX, ret+32(FP)
	RET
