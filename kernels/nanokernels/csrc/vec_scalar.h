/* The vector operations in plain C, with any number of int32 lanes: what every machine can run.
 *
 * It computes what the VNNI headers compute, lane for lane, so that their loops are tested where no VNNI is. The
 * compiler spreads a vector over the registers it has. */
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define KERNEL static

typedef uint32_t v_int __attribute__((vector_size(4 * LANES))); /* unsigned: sums wrap, as in hardware */
typedef int32_t v_signed __attribute__((vector_size(4 * LANES)));
typedef float v_float __attribute__((vector_size(4 * LANES)));

INLINE v_int v_set(int32_t value) { return (v_int){0} + (uint32_t)value; }
INLINE v_int v_zero(void) { return v_set(0); }
INLINE v_int v_load(const void *from) {
    v_int v;
    memcpy(&v, from, sizeof v);
    return v;
}
INLINE void v_store(void *to, v_int v) { memcpy(to, &v, sizeof v); }
INLINE v_int v_add(v_int a, v_int b) { return a + b; }
INLINE v_int v_sub(v_int a, v_int b) { return a - b; }
INLINE v_int v_and(v_int a, v_int b) { return a & b; }
INLINE v_int v_select(v_int mask, v_int yes, v_int no) { return (mask & yes) | (~mask & no); }
INLINE v_int v_shift_right(v_int a, int bits) { return (v_int)((v_signed)a >> bits); }
INLINE v_int v_max(v_int a, v_int b) { return v_select((v_int)((v_signed)a > (v_signed)b), a, b); }

/* The high half of each unsigned 16-bit product. */
INLINE v_int v_multiply_high16(v_int a, uint16_t b) { return (((a & 0xffff) * b) >> 16) | (((a >> 16) * b) & 0xffff0000); }

/* vpdpbusd: acc + the sum of four products of unsigned and signed bytes. */
INLINE v_int v_dot4(v_int acc, v_int bytes, v_int codes) {
    for (int shift = 0; shift < 32; shift += 8)
        acc += ((bytes >> shift) & 255) * (v_int)((v_signed)(codes << (24 - shift)) >> 24);
    return acc;
}
INLINE v_int v_add_bytes(v_int acc, v_int codes) { return v_dot4(acc, v_set(0x01010101), codes); }
INLINE void v_prefetch(const void *address) { __builtin_prefetch(address); }

INLINE v_float vf_set(float value) { return (v_float){0} + value; }
INLINE v_float vf_load(const float *from) { return (v_float)v_load(from); }
INLINE void vf_store(float *to, v_float v) { v_store(to, (v_int)v); }
INLINE v_float vf_add(v_float a, v_float b) { return a + b; }
INLINE v_float vf_mul(v_float a, v_float b) { return a * b; }
INLINE v_float vf_from_int(v_int a) { return __builtin_convertvector((v_signed)a, v_float); }

/* Rounds to the nearest whole number, half to even, of at most 22 bits: the addition leaves it in the low bits. */
INLINE void v_store_rounded(int8_t *to, v_float v) {
    v_int bits = (v_int)(v + 12582912.0f);
    for (int lane = 0; lane < LANES; lane++)
        to[lane] = (int8_t)bits[lane];
}
