/* AVX-512 VNNI: 512-bit dot products of bytes (Ice Lake, Zen 4 and later). */
#if defined(__x86_64__)
#include <stdint.h>

#define FAMILY "dot4.h"
#include "tiles_512.h"
#include "vec_512.h"

#include "kernels.h"

const nk_isa nk_avx512vnni = {"avx512vnni", isa_quantise, isa_multiply, isa_int_sums};
#endif
