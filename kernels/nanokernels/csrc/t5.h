/* Sums of one T5 row block: 80 rows, five ternary digits of 16 rows in each byte v = c0 + 3 c1 + 9 c2 + 27 c3 + 81 c4.
 *
 * With T_i the dot product of floor(v / 3^i) and the codes, digit i has the sum S_i = T_i - 3 T_(i+1). T_i may wrap
 * modulo 2^32; S_i fits, so it is right all the same. */

/* floor(v * RECIPROCALS[i] / 65536) = floor(v / 3^(i+1)) for every v up to 242 */
static const uint16_t RECIPROCALS[4] = {21846, 7282, 2428, 810};

INLINE void t5_line(const uint8_t *from, const int8_t *codes, ptrdiff_t stride, int tokens, v_int *acc) {
    v_int line = v_load(from);
    t5_halves halves = t5_split(line);
    t5_codes x[T5_TILE];
    UNROLL for (int t = 0; t < tokens; t++) {
        x[t] = t5_broadcast(codes + t * stride);
        acc[5 * t] = t5_dot_line(acc[5 * t], line, x[t]);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        t5_halves quotient = t5_quotient(halves, RECIPROCALS[i]);
        UNROLL for (int t = 0; t < tokens; t++)
            acc[5 * t + i + 1] = t5_dot(acc[5 * t + i + 1], quotient, x[t]);
    }
}

/* totals (tokens, 5) += quotients times codes over some lines. */
INLINE void t5_span(const uint8_t *line, int lines, const int8_t *codes, ptrdiff_t stride, int tokens, int prefetch,
                    v_int *totals) {
    v_int acc[5 * T5_TILE];
    UNROLL for (int n = 0; n < 5 * tokens; n++)
        acc[n] = totals[n];
    for (int i = 0; i < lines; i++) {
        if (prefetch)
            v_prefetch((const void *)((uintptr_t)line + (size_t)i * NK_LINE + PREFETCH));
        t5_line(line + (size_t)i * NK_LINE, codes + 4 * i, stride, tokens, acc);
    }
    UNROLL for (int n = 0; n < 5 * tokens; n++)
        totals[n] = acc[n];
}

INLINE void t5_store(const v_int *total, v_int offset, int part, int32_t *sums) {
    UNROLL for (int i = 0; i < 5; i++) {
        v_int next = i < 4 ? total[i + 1] : v_zero();
        v_int sum = v_sub(total[i], v_add(v_add(next, next), next));
        v_store(sums + i * 16 + part * LANES, v_sub(sum, offset));
    }
}

/* sums (tokens, BLOCK_ROWS): the exact sums of one block over some lines, the +1 of the codes taken off. */
INLINE void t5_tile(const uint8_t *line, int lines, const nk_panel *x, int tokens, int32_t *sums) {
    v_int totals[PARTS][5 * T5_TILE];
    for (int n = 0; n < PARTS * 5 * tokens; n++)
        totals[n / (5 * tokens)][n % (5 * tokens)] = v_zero();
    for (int first = 0, span; first < lines; first += span) {
        span = lines - first < T5_SPAN ? lines - first : T5_SPAN;
        for (int part = 0; part < PARTS; part++)
            t5_span(line + (size_t)first * NK_LINE + part * 4 * LANES, span, x->codes + 4 * first, x->stride, tokens,
                    tokens == 1 && part == 0, totals[part]);
    }
    for (int part = 0; part < PARTS; part++)
        for (int t = 0; t < tokens; t++)
            t5_store(totals[part] + 5 * t, v_set(x->sums[t * x->groups]), part, sums + t * BLOCK_ROWS);
}

/* As t5_tile, for 1 .. T5_TILE tokens known when it runs. */
KERNEL void t5_sums(const uint8_t *line, int lines, const nk_panel *x, int tokens, int32_t *sums) {
    switch (tokens) {
    case 1: t5_tile(line, lines, x, 1, sums); break;
    case 2: t5_tile(line, lines, x, 2, sums); break;
#if T5_TILE >= 4
    case 3: t5_tile(line, lines, x, 3, sums); break;
    case 4: t5_tile(line, lines, x, 4, sums); break;
#endif
    }
}
