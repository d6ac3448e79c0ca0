/* The vector operations on 512-bit registers with the dot product of bytes. */
#include <immintrin.h>
#include <string.h>

#define TARGET "avx512f,avx512bw,avx512vnni"
#define INLINE static inline __attribute__((always_inline, target(TARGET)))
#define KERNEL static __attribute__((target(TARGET)))
#define LANES 16

typedef __m512i v_int;
typedef __m512 v_float;

INLINE v_int v_set(int32_t value) { return _mm512_set1_epi32(value); }
INLINE v_int v_zero(void) { return _mm512_setzero_si512(); }
INLINE v_int v_load(const void *from) {
    v_int v = _mm512_loadu_si512(from);
    __asm__("" : "+v"(v)); /* read once: gcc would repeat the load as an operand of every use */
    return v;
}
INLINE void v_store(void *to, v_int v) { _mm512_storeu_si512(to, v); }
INLINE v_int v_add(v_int a, v_int b) { return _mm512_add_epi32(a, b); }
INLINE v_int v_sub(v_int a, v_int b) { return _mm512_sub_epi32(a, b); }
INLINE v_int v_and(v_int a, v_int b) { return _mm512_and_si512(a, b); }
INLINE v_int v_select(v_int mask, v_int yes, v_int no) { return _mm512_ternarylogic_epi32(mask, yes, no, 0xca); }
INLINE v_int v_shift_right(v_int a, int bits) { return _mm512_srai_epi32(a, (unsigned)bits); }
INLINE v_int v_max(v_int a, v_int b) { return _mm512_max_epi32(a, b); }
INLINE v_int v_multiply_high16(v_int a, uint16_t b) { return _mm512_mulhi_epu16(a, _mm512_set1_epi16((int16_t)b)); }
INLINE void v_prefetch(const void *address) { _mm_prefetch((const char *)address, _MM_HINT_T0); }

/* In assembly: gcc's intrinsic copies the accumulator. */
INLINE v_int v_dot4(v_int acc, v_int bytes, v_int codes) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(bytes), "v"(codes));
    return acc;
}
INLINE v_int v_add_bytes(v_int acc, v_int codes) { return v_dot4(acc, v_set(0x01010101), codes); }

INLINE v_float vf_set(float value) { return _mm512_set1_ps(value); }
INLINE v_float vf_load(const float *from) { return _mm512_loadu_ps(from); }
INLINE void vf_store(float *to, v_float v) { _mm512_storeu_ps(to, v); }
INLINE v_float vf_add(v_float a, v_float b) { return _mm512_add_ps(a, b); }
INLINE v_float vf_mul(v_float a, v_float b) { return _mm512_mul_ps(a, b); }
INLINE v_float vf_from_int(v_int a) { return _mm512_cvtepi32_ps(a); }

/* Rounds half to even. */
INLINE void v_store_rounded(int8_t *to, v_float v) {
    _mm_storeu_si128((__m128i *)to, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
}
