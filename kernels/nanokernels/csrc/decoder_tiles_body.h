/* Loops over tiles, several rows and columns at once, for the vectors of the file that includes this one. */

#define AHEAD 8192 /* bytes: rows of the head are too short for the hardware to find their pattern */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* One tile of `products`: rows and phases are constants, so that the sums stay in registers. Few rows have too few
 * sums to hide the latency of an FMA: `phases` sums for each then take turns. */
ALWAYS_INLINE void product_tile(const float *const *a, const int rows, const int phases, const float *b, int stride,
                                int depth, float *const *c) {
    vec sums[NK_TILE_ROWS * 2];
    for (int i = 0; i < rows * phases * 2; i++)
        sums[i] = vec_set(0.0f);
    int k = 0;
    for (; k + phases <= depth; k += phases)
        for (int p = 0; p < phases; p++) {
            vec left = vec_load(b + (size_t)(k + p) * stride), right = vec_load(b + (size_t)(k + p) * stride + LANES);
            for (int r = 0; r < rows; r++) {
                vec factor = vec_set(a[r][k + p]);
                sums[(p * rows + r) * 2] = vec_fma(factor, left, sums[(p * rows + r) * 2]);
                sums[(p * rows + r) * 2 + 1] = vec_fma(factor, right, sums[(p * rows + r) * 2 + 1]);
            }
        }
    for (; k < depth; k++)
        for (int i = 0; i < rows * 2; i++)
            sums[i] = vec_fma(vec_set(a[i / 2][k]), vec_load(b + (size_t)k * stride + i % 2 * LANES), sums[i]);
    for (int i = 0; i < rows * 2; i++) {
        for (int p = 1; p < phases; p++)
            sums[i] = vec_add(sums[i], sums[p * rows * 2 + i]);
        vec_store(c[i / 2] + i % 2 * LANES, sums[i]);
    }
}

static void products(const float *const *a, int rows, const float *b, int stride, int depth, float *const *c) {
    switch (rows) {
    case 1: product_tile(a, 1, 4, b, stride, depth, c); break;
    case 2: product_tile(a, 2, 2, b, stride, depth, c); break;
    case 3: product_tile(a, 3, 2, b, stride, depth, c); break;
    case 4: product_tile(a, 4, 1, b, stride, depth, c); break;
    case 5: product_tile(a, 5, 1, b, stride, depth, c); break;
    default: product_tile(a, 6, 1, b, stride, depth, c);
    }
}

ALWAYS_INLINE vec load_number(const char *row, int column, const int number) {
    switch (number) {
    case NK_BFLOAT16: return vec_from_bfloat16((const uint16_t *)row + column);
    case NK_FLOAT16: return vec_from_float16((const uint16_t *)row + column);
    case NK_INT8: return vec_from_int8((const int8_t *)row + column);
    default: return vec_load((const float *)row + column);
    }
}

/* Products of `rows` rows of w from `first` with `tokens` rows of x; number, rows and tokens are constants. */
ALWAYS_INLINE void dense_tile(const nk_dense *w, const int number, int first, const int rows, const float *x,
                              int x_stride, const int tokens, float *y, size_t y_stride) {
    const int size = number == NK_FLOAT32 ? 4 : number == NK_INT8 ? 1 : 2;
    const size_t bytes = (size_t)size * (size_t)w->stride;
    const char *row = (const char *)w->data + (size_t)first * bytes;
    vec sums[8];
    for (int i = 0; i < rows * tokens; i++)
        sums[i] = vec_set(0.0f);
    int k = 0;
    for (; k + LANES <= w->columns; k += LANES) {
        __builtin_prefetch(row + AHEAD + (size_t)(k * rows * size));
        for (int r = 0; r < rows; r++) {
            vec numbers = load_number(row + (size_t)r * bytes, k, number);
            for (int t = 0; t < tokens; t++)
                sums[r * tokens + t] = vec_fma(numbers, vec_load(x + (size_t)t * x_stride + k), sums[r * tokens + t]);
        }
    }
    for (int i = 0; k < w->columns && i < rows * tokens; i++) {
        vec rest = load(x + (size_t)(i % tokens) * x_stride + k, w->columns - k);
        sums[i] = vec_fma(load_number(row + (size_t)(i / tokens) * bytes, k, number), rest, sums[i]);
    }
    for (int i = 0; i < rows * tokens; i++) {
        float scale_of_row = number == NK_INT8 ? w->scale[first + i / tokens] : 1.0f;
        y[(size_t)(i % tokens) * y_stride + first + i / tokens] = vec_sum(sums[i]) * scale_of_row;
    }
}

ALWAYS_INLINE void dense_of(const nk_dense *w, const int number, const float *x, int x_stride, int tokens, float *y,
                            size_t y_stride, int first, int rows) {
    int end = first + rows, t = 0;
    for (; t + 2 <= tokens; t += 2)
        for (int r = first, n; r < end; r += n) {
            n = r + 4 <= end ? 4 : 1;
            if (n == 4)
                dense_tile(w, number, r, 4, x + (size_t)t * x_stride, x_stride, 2, y + t * y_stride, y_stride);
            else
                dense_tile(w, number, r, 1, x + (size_t)t * x_stride, x_stride, 2, y + t * y_stride, y_stride);
        }
    for (int r = first, n; t < tokens && r < end; r += n) {
        n = r + 4 <= end ? 4 : 1;
        if (n == 4)
            dense_tile(w, number, r, 4, x + (size_t)t * x_stride, x_stride, 1, y + t * y_stride, y_stride);
        else
            dense_tile(w, number, r, 1, x + (size_t)t * x_stride, x_stride, 1, y + t * y_stride, y_stride);
    }
}

static void dense(const nk_dense *w, const float *x, int x_stride, int tokens, float *y, size_t y_stride, int first,
                  int rows) {
    switch (w->number) {
    case NK_BFLOAT16: dense_of(w, NK_BFLOAT16, x, x_stride, tokens, y, y_stride, first, rows); break;
    case NK_FLOAT16: dense_of(w, NK_FLOAT16, x, x_stride, tokens, y, y_stride, first, rows); break;
    case NK_INT8: dense_of(w, NK_INT8, x, x_stride, tokens, y, y_stride, first, rows); break;
    default: dense_of(w, NK_FLOAT32, x, x_stride, tokens, y, y_stride, first, rows);
    }
}

/* s = decay s; change = strength (v - k s); s += k change; out = q s, for LANES columns after the others. */
static void delta_step(float *s, int stride, int depth, const float *q, const float *k, const float *v, float strength,
                       float decay, float *out) {
    for (int c = 0; c < stride; c += LANES) {
        vec known = vec_set(0.0f), read = vec_set(0.0f), d = vec_set(decay);
        for (int i = 0; i < depth; i++) {
            vec kept = vec_mul(vec_load(s + (size_t)i * stride + c), d);
            vec_store(s + (size_t)i * stride + c, kept);
            known = vec_fma(vec_set(k[i]), kept, known);
        }
        vec missing = vec_fma(known, vec_set(-1.0f), vec_load(v + c));
        vec change = vec_mul(missing, vec_set(strength));
        for (int i = 0; i < depth; i++) {
            vec new = vec_fma(vec_set(k[i]), change, vec_load(s + (size_t)i * stride + c));
            vec_store(s + (size_t)i * stride + c, new);
            read = vec_fma(vec_set(q[i]), new, read);
        }
        vec_store(out + c, read);
    }
}

static const nk_loops table = {
    .panel = 2 * LANES,
    .dot = dot,
    .scale = scale,
    .add = add,
    .add_products = add_products,
    .rotate = rotate,
    .silu = silu,
    .silu_times = silu_times,
    .relu_squared = relu_squared,
    .exponentials = exponentials,
    .mix = mix,
    .write = write,
    .products = products,
    .dense = dense,
    .delta_step = delta_step,
};
