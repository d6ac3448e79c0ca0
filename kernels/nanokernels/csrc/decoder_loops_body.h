/* Loops over single rows of floats, for the vectors of the file that includes this one. */
#include "decoder_loops.h"

#include <math.h>
#include <string.h>

#define UNROLLED 4

/* The next LANES floats, zeros behind the `left` that remain. */
static inline vec load(const float *p, int left) {
    if (left >= LANES)
        return vec_load(p);
    float part[LANES] = {0};
    memcpy(part, p, (size_t)left * sizeof *p);
    return vec_load(part);
}

static inline void store(float *p, vec x, int left) {
    if (left >= LANES) {
        vec_store(p, x);
        return;
    }
    float part[LANES];
    vec_store(part, x);
    memcpy(p, part, (size_t)left * sizeof *p);
}

/* e^x, relative error about 1e-7: x = n ln 2 + r, a polynomial for e^r (Cephes), and n added to the exponent.
 * Adding 1.5 2^23 rounds to a whole number and leaves it in the low bits. */
static inline vec vec_exp(vec x) {
    const vec magic = vec_set(12582912.0f);
    x = vec_max(vec_min(x, vec_set(88.0f)), vec_set(-87.0f));
    vec biased = vec_fma(x, vec_set(1.44269504f), magic);
    vec n = vec_add(biased, vec_set(-12582912.0f));
    vec r = vec_fma(n, vec_set(-0.693359375f), x);
    r = vec_fma(n, vec_set(2.12194440e-4f), r);
    vec p = vec_fma(vec_set(1.9875691500e-4f), r, vec_set(1.3981999507e-3f));
    p = vec_fma(p, r, vec_set(8.3334519073e-3f));
    p = vec_fma(p, r, vec_set(4.1665795894e-2f));
    p = vec_fma(p, r, vec_set(1.6666665459e-1f));
    p = vec_fma(p, r, vec_set(5.0000001201e-1f));
    p = vec_fma(p, vec_mul(r, r), vec_add(r, vec_set(1.0f)));
    return vec_scale_exponent(p, biased);
}

static inline vec vec_silu(vec x) {
    vec one = vec_set(1.0f), minus = vec_mul(x, vec_set(-1.0f));
    return vec_div(x, vec_add(one, vec_exp(minus)));
}

static float dot(const float *a, const float *b, int n) {
    vec sums[UNROLLED];
    int i = 0;
    for (int u = 0; u < UNROLLED; u++)
        sums[u] = vec_set(0.0f);
    for (; i + UNROLLED * LANES <= n; i += UNROLLED * LANES)
        for (int u = 0; u < UNROLLED; u++)
            sums[u] = vec_fma(vec_load(a + i + u * LANES), vec_load(b + i + u * LANES), sums[u]);
    for (; i < n; i += LANES)
        sums[0] = vec_fma(load(a + i, n - i), load(b + i, n - i), sums[0]);
    return vec_sum(vec_add(vec_add(sums[0], sums[1]), vec_add(sums[2], sums[3])));
}

static void scale(float *y, const float *x, float factor, const float *gain, int n) {
    vec f = vec_set(factor);
    for (int i = 0; i < n; i += LANES)
        store(y + i, vec_mul(vec_mul(load(x + i, n - i), f), load(gain + i, n - i)), n - i);
}

static void add(float *y, const float *x, int n) {
    for (int i = 0; i < n; i += LANES)
        store(y + i, vec_add(load(y + i, n - i), load(x + i, n - i)), n - i);
}

static void add_products(float *y, const float *a, const float *b, int n) {
    for (int i = 0; i < n; i += LANES)
        store(y + i, vec_fma(load(a + i, n - i), load(b + i, n - i), load(y + i, n - i)), n - i);
}

/* Pairs (x[i], x[i + half]) turned by their angles. */
static void rotate(float *x, const float *cosines, const float *sines, int half) {
    for (int i = 0; i < half; i += LANES) {
        int left = half - i;
        vec c = load(cosines + i, left), s = load(sines + i, left);
        vec a = load(x + i, left), b = load(x + half + i, left);
        vec minus = vec_mul(s, vec_set(-1.0f));
        store(x + i, vec_fma(b, minus, vec_mul(a, c)), left);
        store(x + half + i, vec_fma(a, s, vec_mul(b, c)), left);
    }
}

static void silu(float *x, int n) {
    for (int i = 0; i < n; i += LANES)
        store(x + i, vec_silu(load(x + i, n - i)), n - i);
}

static void silu_times(float *gate, const float *x, int n) {
    for (int i = 0; i < n; i += LANES)
        store(gate + i, vec_mul(vec_silu(load(gate + i, n - i)), load(x + i, n - i)), n - i);
}

static void relu_squared(float *x, int n) {
    for (int i = 0; i < n; i += LANES) {
        vec positive = vec_max(load(x + i, n - i), vec_set(0.0f));
        store(x + i, vec_mul(positive, positive), n - i);
    }
}

static float largest(const float *x, int n) {
    vec found = vec_set(x[0]);
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        found = vec_max(found, vec_load(x + i));
    float result = vec_largest(found);
    for (; i < n; i++)
        result = x[i] > result ? x[i] : result;
    return result;
}

static float exponentials(float *x, float factor, int n) {
    vec sum = vec_set(0.0f), f = vec_set(factor), shift = vec_set(-factor * largest(x, n));
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec e = vec_exp(vec_fma(vec_load(x + i), f, shift));
        vec_store(x + i, e);
        sum = vec_add(sum, e);
    }
    float rest[LANES] = {0};
    if (i < n) {
        store(x + i, vec_exp(vec_fma(load(x + i, n - i), f, shift)), n - i);
        memcpy(rest, x + i, (size_t)(n - i) * sizeof *x);
    }
    return vec_sum(vec_add(sum, vec_load(rest)));
}

static void mix(float *y, const float *x, int stride, const float *weights, int count, int n) {
    for (int i = 0; i < n; i += LANES) {
        vec sum = vec_mul(load(x + i, n - i), vec_set(weights[0]));
        for (int s = 1; s < count; s++)
            sum = vec_fma(load(x + s * stride + i, n - i), vec_set(weights[s]), sum);
        store(y + i, sum, n - i);
    }
}

static void write(float *x, int stride, const float *map, const float *weights, const float *y, int count, int n) {
    for (int i = 0; i < n; i += LANES) {
        vec old[NK_MAX_STREAMS], new = load(y + i, n - i);
        for (int s = 0; s < count; s++)
            old[s] = load(x + s * stride + i, n - i);
        for (int s = 0; s < count; s++) {
            vec sum = map ? vec_mul(old[0], vec_set(map[s * count])) : old[s];
            for (int j = 1; map && j < count; j++)
                sum = vec_fma(old[j], vec_set(map[s * count + j]), sum);
            store(x + s * stride + i, vec_fma(new, vec_set(weights[s]), sum), n - i);
        }
    }
}
