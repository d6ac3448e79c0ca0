/* The tables that isa_*.c define, and whether this CPU and its operating system can run them. */
#ifndef NK_ISA_H
#define NK_ISA_H

#include "nanokernels.h"

extern const nk_isa nk_scalar;
static inline int nk_has_all(void) { return 1; }

#if defined(__x86_64__)
extern const nk_isa nk_avx512vnni, nk_avxvnni, nk_avx2;
int nk_has_avx512vnni(void);
int nk_has_avxvnni(void);
int nk_has_avx2(void);
int nk_has_fma(void); /* AVX2 with FMA and F16C: the decoder's float loops */
#elif defined(__aarch64__)
extern const nk_isa nk_neon;
int nk_has_neon(void);
#endif

#endif
