/* NEON with the dot product of bytes (ARMv8.2 DotProd: nearly every 64-bit ARM core since 2018). */
#if defined(__aarch64__)
#include <stdint.h>
#include <sys/auxv.h>

#define T2_TILE 3
#define T2_STRANDS 2
#define T2_SPAN 128
#define T5_TILE 2
#define T5_SPAN 128
#define FAMILY "signed_dot.h"

#include "vec_neon.h"

#include "isa.h"
#include "kernels.h"

const nk_isa nk_neon = {"neon", isa_quantise, isa_multiply, isa_int_sums};

int nk_has_neon(void) { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
#endif
