/* Vectors of 4 floats in the compiler's own vector types: SSE2, NEON, or whatever the machine has. */
#include <stdint.h>
#include <string.h>

#define LANES 4

typedef float vec __attribute__((vector_size(16)));
typedef int32_t vec_int __attribute__((vector_size(16)));

static inline vec vec_set(float x) { return (vec){x, x, x, x}; }

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

static inline float vec_sum(vec x) { return (x[0] + x[1]) + (x[2] + x[3]); }

static inline float vec_largest(vec x) {
    float a = x[0] > x[1] ? x[0] : x[1], b = x[2] > x[3] ? x[2] : x[3];
    return a > b ? a : b;
}

/* x times 2^n, where the low bits of `biased`, a float, are the whole number n. */
static inline vec vec_scale_exponent(vec x, vec biased) {
    return (vec)((vec_int)x + (vec_int)((vec_int)biased << 23));
}

static inline vec vec_from_int8(const int8_t *p) { return (vec){p[0], p[1], p[2], p[3]}; }

static inline vec vec_from_bfloat16(const uint16_t *p) {
    const uint32_t bits[4] = {(uint32_t)p[0] << 16, (uint32_t)p[1] << 16, (uint32_t)p[2] << 16, (uint32_t)p[3] << 16};
    vec x;
    memcpy(&x, bits, sizeof x);
    return x;
}

/* Exact, subnormal numbers included: the exponent is moved by a product with a power of 2. */
static inline float float_of_half(uint16_t half) {
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    value *= 0x1p112f;
    return half & 0x8000 ? -value : value;
}

static inline vec vec_from_float16(const uint16_t *p) {
    return (vec){float_of_half(p[0]), float_of_half(p[1]), float_of_half(p[2]), float_of_half(p[3])};
}
