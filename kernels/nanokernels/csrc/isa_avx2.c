/* AVX2 without a dot product of bytes: most x86 machines since 2013. */
#if defined(__x86_64__)
#include <stdint.h>

#define TARGET "avx2"
#define T2_TILE 2 /* two tokens' sums, the fields and the masks fill the 16 registers */
#define T2_STRANDS 1
#define T5_TILE 2
#define T5_SPAN 128 /* lines: 8 KiB */
#define FAMILY "maddubs.h"

#include "vec_256.h"

#include "kernels.h"

const nk_isa nk_avx2 = {"avx2", isa_quantise, isa_multiply, isa_int_sums};
#endif
