/* AVX-VNNI: 256-bit dot products of bytes (Alder Lake, Zen 5). */
#if defined(__x86_64__)
#include <stdint.h>

#define TARGET "avx2"
#define FAMILY "dot4.h"

#include "tiles_256.h"
#include "vec_256.h"

/* In assembly: gcc's intrinsics copy the accumulator. {vex}: the AVX-512 encoding of the same name needs AVX-512. */
INLINE v_int v_dot4(v_int acc, v_int bytes, v_int codes) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(bytes), "x"(codes));
    return acc;
}
INLINE v_int v_add_bytes(v_int acc, v_int codes) { return v_dot4(acc, v_set(0x01010101), codes); }
INLINE v_int v_select(v_int mask, v_int yes, v_int no) { return _mm256_blendv_epi8(no, yes, mask); }

#include "kernels.h"

const nk_isa nk_avxvnni = {"avxvnni", isa_quantise, isa_multiply, isa_int_sums};
#endif
