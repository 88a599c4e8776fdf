#include "textflag.h"

// func entry(). On amd64, Go code that is called from assembly first loads g from thread-local storage, which nobody has set up yet. What
// comes next never looks at g: any memory will do.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0
	MOVQ $158, AX    // arch_prctl
	MOVQ $0x1002, DI // ARCH_SET_FS
	MOVQ SP, SI
	SYSCALL
	MOVQ SP, AX
	SUBQ $16, SP
	MOVQ AX, 0(SP)
	CALL ·again(SB)
	ADDQ $16, SP
	JMP  _rt0_amd64_linux(SB)
