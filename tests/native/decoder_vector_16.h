/* Vectors of 16 floats in the compiler's own vector types: what decoder_vector_avx512.h computes, on any machine. */
#include <stdint.h>
#include <string.h>

#define LANES 16

typedef float vec __attribute__((vector_size(64)));
typedef int32_t vec_int __attribute__((vector_size(64)));

static inline vec vec_set(float x) { return x - (vec){0}; }

static inline vec vec_load(const float *p) {
    vec x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline void vec_store(float *p, vec x) { memcpy(p, &x, sizeof x); }
static inline vec vec_fma(vec a, vec b, vec c) { return a * b + c; }
static inline vec vec_add(vec a, vec b) { return a + b; }
static inline vec vec_mul(vec a, vec b) { return a * b; }
static inline vec vec_div(vec a, vec b) { return a / b; }

static inline vec vec_max(vec a, vec b) {
    vec_int larger = a > b;
    return (vec)((larger & (vec_int)a) | (~larger & (vec_int)b));
}

static inline vec vec_min(vec a, vec b) {
    vec_int smaller = a < b;
    return (vec)((smaller & (vec_int)a) | (~smaller & (vec_int)b));
}

static inline float vec_sum(vec x) {
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            x[i] += x[i + half];
    return x[0];
}

static inline float vec_largest(vec x) {
    float largest = x[0];
    for (int i = 1; i < LANES; i++)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

/* x times 2^n, where the low bits of `biased`, a float, are the whole number n. */
static inline vec vec_scale_exponent(vec x, vec biased) {
    return (vec)((vec_int)x + (vec_int)((vec_int)biased << 23));
}

static inline vec vec_from_int8(const int8_t *p) {
    vec x;
    for (int i = 0; i < LANES; i++)
        x[i] = p[i];
    return x;
}

static inline vec vec_from_bfloat16(const uint16_t *p) {
    vec_int bits;
    for (int i = 0; i < LANES; i++)
        bits[i] = (int32_t)((uint32_t)p[i] << 16);
    return (vec)bits;
}

static inline vec vec_from_float16(const uint16_t *p) {
    vec x;
    for (int i = 0; i < LANES; i++) { /* exact, subnormal numbers included */
        uint32_t bits = (uint32_t)(p[i] & 0x7fff) << 13;
        float value;
        memcpy(&value, &bits, sizeof value);
        x[i] = (p[i] & 0x8000 ? -value : value) * 0x1p112f;
    }
    return x;
}
