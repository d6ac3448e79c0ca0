/* Sums of one T2 row block: 64 rows, four fields of 16 rows in each byte.
 *
 * A span of lines is multiplied with its accumulators in registers, then added to the totals; a line wider than a vector
 * is met part by part while its span is in the first-level cache. All loops over parts, tokens and fields have constant
 * bounds after inlining. */

#define PARTS (NK_LINE / 4 / LANES) /* vectors in a line */

INLINE void t2_line(const uint8_t *line, const int8_t *codes, ptrdiff_t stride, int tokens, v_narrow *acc) {
    v_int field[4];
    t2_fields(v_load(line), field);
    UNROLL for (int t = 0; t < tokens; t++) {
        v_int x = v_broadcast(codes + t * stride);
        UNROLL for (int f = 0; f < 4; f++)
            acc[4 * t + f] = n_accumulate(acc[4 * t + f], field[f], x);
    }
}

/* totals (tokens, 4) += fields times codes over some lines. `strands` lines are summed apart, so that a single token has
 * enough sums in flight to hide the latency of the dot product. */
INLINE void t2_span(const uint8_t *line, int lines, const int8_t *codes, ptrdiff_t stride, int tokens, int strands,
                    int prefetch, v_int *totals) {
    v_narrow acc[4 * (T2_TILE > T2_STRANDS ? T2_TILE : T2_STRANDS)];
    int i = 0;
    UNROLL for (int n = 0; n < 4 * tokens * strands; n++)
        acc[n] = n_zero();
    for (; i + strands <= lines; i += strands)
        UNROLL for (int s = 0; s < strands; s++) {
            if (prefetch)
                v_prefetch((const void *)((uintptr_t)line + (size_t)(i + s) * NK_LINE + PREFETCH));
            t2_line(line + (size_t)(i + s) * NK_LINE, codes + 4 * (i + s), stride, tokens, acc + 4 * tokens * s);
        }
    for (; i < lines; i++)
        t2_line(line + (size_t)i * NK_LINE, codes + 4 * i, stride, tokens, acc);
    UNROLL for (int n = 0; n < 4 * tokens * strands; n++)
        totals[n % (4 * tokens)] = v_add(totals[n % (4 * tokens)], n_widen(acc[n]));
}

/* sums (tokens, BLOCK_ROWS): the exact sums of one block over some lines, the +1 of the codes taken off. */
INLINE void t2_tile(const uint8_t *line, int lines, const nk_panel *x, int tokens, int strands, int32_t *sums) {
    v_int totals[PARTS][4 * T2_TILE];
    for (int n = 0; n < PARTS * 4 * tokens; n++)
        totals[n / (4 * tokens)][n % (4 * tokens)] = v_zero();
    for (int first = 0, span; first < lines; first += span) {
        span = lines - first < T2_SPAN ? lines - first : T2_SPAN;
        for (int part = 0; part < PARTS; part++)
            t2_span(line + (size_t)first * NK_LINE + part * 4 * LANES, span, x->codes + 4 * first, x->stride, tokens,
                    strands, tokens == 1 && part == 0, totals[part]);
    }
    for (int part = 0; part < PARTS; part++)
        UNROLL for (int t = 0; t < tokens; t++) {
            v_int *sum = totals[part] + 4 * t, offset = v_set(x->sums[t * x->groups]);
            t2_recover(sum);
            UNROLL for (int f = 0; f < 4; f++)
                v_store(sums + t * BLOCK_ROWS + f * 16 + part * LANES, v_sub(sum[f], offset));
        }
}

/* As t2_tile, for 1 .. T2_TILE tokens known when it runs. */
KERNEL void t2_sums(const uint8_t *line, int lines, const nk_panel *x, int tokens, int32_t *sums) {
    switch (tokens) {
    case 1: t2_tile(line, lines, x, 1, T2_STRANDS, sums); break;
    case 2: t2_tile(line, lines, x, 2, 1, sums); break;
#if T2_TILE >= 3
    case 3: t2_tile(line, lines, x, 3, 1, sums); break;
#endif
#if T2_TILE >= 6
    case 4: t2_tile(line, lines, x, 4, 1, sums); break;
    case 5: t2_tile(line, lines, x, 5, 1, sums); break;
    case 6: t2_tile(line, lines, x, 6, 1, sums); break;
#endif
    }
}
