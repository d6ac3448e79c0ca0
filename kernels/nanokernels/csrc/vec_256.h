/* The vector operations on 256-bit registers, but for the dot product of bytes. TARGET says what the compiler may use. */
#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline, target(TARGET)))
#define KERNEL static __attribute__((target(TARGET)))
#define LANES 8

typedef __m256i v_int;
typedef __m256 v_float;

INLINE v_int v_set(int32_t value) { return _mm256_set1_epi32(value); }
INLINE v_int v_zero(void) { return _mm256_setzero_si256(); }
INLINE v_int v_load(const void *from) {
    v_int v = _mm256_loadu_si256((const __m256i *)from);
    __asm__("" : "+x"(v)); /* read once: gcc would repeat the load as an operand of every use */
    return v;
}
INLINE void v_store(void *to, v_int v) { _mm256_storeu_si256((__m256i *)to, v); }
INLINE v_int v_add(v_int a, v_int b) { return _mm256_add_epi32(a, b); }
INLINE v_int v_sub(v_int a, v_int b) { return _mm256_sub_epi32(a, b); }
INLINE v_int v_and(v_int a, v_int b) { return _mm256_and_si256(a, b); }
INLINE v_int v_shift_right(v_int a, int bits) { return _mm256_srai_epi32(a, bits); }
INLINE v_int v_max(v_int a, v_int b) { return _mm256_max_epi32(a, b); }
INLINE v_int v_multiply_high16(v_int a, uint16_t b) { return _mm256_mulhi_epu16(a, _mm256_set1_epi16((int16_t)b)); }
INLINE void v_prefetch(const void *address) { _mm_prefetch((const char *)address, _MM_HINT_T0); }

INLINE v_float vf_set(float value) { return _mm256_set1_ps(value); }
INLINE v_float vf_load(const float *from) { return _mm256_loadu_ps(from); }
INLINE void vf_store(float *to, v_float v) { _mm256_storeu_ps(to, v); }
INLINE v_float vf_add(v_float a, v_float b) { return _mm256_add_ps(a, b); }
INLINE v_float vf_mul(v_float a, v_float b) { return _mm256_mul_ps(a, b); }
INLINE v_float vf_from_int(v_int a) { return _mm256_cvtepi32_ps(a); }

/* Rounds half to even. */
INLINE void v_store_rounded(int8_t *to, v_float v) {
    __m256i whole = _mm256_cvtps_epi32(v);
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((__m128i *)to, _mm_packs_epi16(words, words));
}
