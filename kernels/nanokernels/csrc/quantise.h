/* Absmax quantiser of tokens, as nanocore.model.quantize.token_codes: the same codes to the bit. */

#define LARGEST_CODE 127.0f
#define SMALLEST_SCALE ((float)(1e-5 / 127)) /* keeps an all-zero token from dividing by zero */
#define INFINITE_BITS 0x7f800000             /* of a float; NaN lies above */

/* The bits of max|x|. Bits of positive floats are ordered like the floats, and infinity and NaN come last. */
INLINE int32_t largest_bits(const float *x, int columns) {
    v_int largest = v_zero();
    int32_t lanes[LANES], result = 0, i = 0;
    for (; i + LANES <= columns; i += LANES)
        largest = v_max(largest, v_and(v_load(x + i), v_set(0x7fffffff)));
    v_store(lanes, largest);
    for (int lane = 0; lane < LANES; lane++)
        result = lanes[lane] > result ? lanes[lane] : result;
    for (; i < columns; i++) {
        int32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffff;
        result = bits > result ? bits : result;
    }
    return result;
}

/* codes = x * inverse rounded half to even; padding columns get 0. */
INLINE void write_codes(const float *x, float inverse, int columns, int8_t *codes) {
    int i = 0;
    for (; i + LANES <= columns; i += LANES)
        v_store_rounded(codes + i, vf_mul(vf_load(x + i), vf_set(inverse)));
    for (; i < columns; i++)
        codes[i] = (int8_t)__builtin_lrintf(x[i] * inverse);
    for (; i < nk_padded(columns); i++)
        codes[i] = 0;
}

INLINE int32_t sum_codes(const int8_t *codes, int columns) {
    v_int total = v_zero();
    int32_t lanes[LANES], result = 0, i = 0;
    for (; i + 4 * LANES <= columns; i += 4 * LANES)
        total = v_add_bytes(total, v_load(codes + i));
    v_store(lanes, total);
    for (int lane = 0; lane < LANES; lane++)
        result += lanes[lane];
    for (; i < columns; i++)
        result += codes[i];
    return result;
}

INLINE float quantise_token(const float *x, int columns, int8_t *codes) {
    int32_t bits = largest_bits(x, columns);
    float largest, scale;
    if (bits >= INFINITE_BITS) {
        memset(codes, 0, (size_t)nk_padded(columns));
        return __builtin_nanf("");
    }
    memcpy(&largest, &bits, sizeof largest);
    scale = largest / LARGEST_CODE;
    scale = scale > SMALLEST_SCALE ? scale : SMALLEST_SCALE;
    write_codes(x, 1.0f / scale, columns, codes);
    return scale;
}

KERNEL void isa_quantise(const float *x, ptrdiff_t x_stride, nk_tokens *tokens) {
    int columns = tokens->columns, width = nk_padded(columns) / tokens->groups;
    for (int t = 0; t < tokens->tokens; t++) {
        int8_t *codes = tokens->codes + (ptrdiff_t)t * tokens->stride;
        tokens->scales[t] = quantise_token(x + t * x_stride, columns, codes);
        for (int g = 0; g < tokens->groups; g++)
            tokens->sums[(ptrdiff_t)t * tokens->groups + g] = sum_codes(codes + (ptrdiff_t)g * width, width);
    }
}
