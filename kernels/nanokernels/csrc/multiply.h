/* From row blocks and tokens to tiles, and from exact sums to scaled outputs. */

#define PANEL_TOKENS 48 /* tokens whose codes stay in the second-level cache while all blocks pass by */

/* Exact sums (tokens, BLOCK_ROWS) of one block and one scale group. */
INLINE void block_sums(const nk_matrix *w, const nk_panel *x, int32_t block, int group, int tokens, int32_t *sums) {
    int32_t lines = nk_padded(w->columns) / 4, width = lines / x->groups;
    const uint8_t *line = w->data + ((size_t)block * lines + (size_t)group * width) * NK_LINE;
    nk_panel part = {x->codes + (ptrdiff_t)group * width * 4, x->sums + group, x->scales, x->stride, x->groups};
    if (w->layout == NK_T2)
        t2_sums(line, width, &part, tokens, sums);
    else
        t5_sums(line, width, &part, tokens, sums);
}

/* total (rows of a block) = sums * weight scale, added to what other groups gave. */
INLINE void add_scaled(const nk_matrix *w, int32_t first_row, int group, const int32_t *sums, float *total) {
    int32_t block_rows = nk_block_rows(w->layout), rows = w->rows - first_row;
    const float *scale = w->scale + (w->groups ? (ptrdiff_t)group * w->rows + first_row : 0);
    float padded[BLOCK_ROWS] = {0};
    if (w->groups && rows < block_rows)
        scale = memcpy(padded, scale, (size_t)rows * sizeof *padded);
    for (int r = 0; r < block_rows; r += LANES) {
        v_float factor = w->groups ? vf_load(scale + r) : vf_set(*scale);
        v_float value = vf_mul(vf_from_int(v_load(sums + r)), factor);
        vf_store(total + r, group ? vf_add(vf_load(total + r), value) : value);
    }
}

INLINE void store_scaled(const float *total, float scale, int32_t rows, float *y) {
    int r = 0;
    for (; r + LANES <= rows; r += LANES)
        vf_store(y + r, vf_mul(vf_load(total + r), vf_set(scale)));
    for (; r < rows; r++)
        y[r] = total[r] * scale;
}

/* y (tokens, rows of this block) */
INLINE void multiply_tile(const nk_matrix *w, const nk_panel *x, int32_t block, int tokens, float *y,
                          ptrdiff_t y_stride) {
    _Alignas(64) int32_t sums[TILE * BLOCK_ROWS];
    _Alignas(64) float totals[TILE * BLOCK_ROWS];
    int32_t block_rows = nk_block_rows(w->layout), first_row = block * block_rows, rows = w->rows - first_row;
    for (int g = 0; g < x->groups; g++) {
        block_sums(w, x, block, g, tokens, sums);
        for (int t = 0; t < tokens; t++)
            add_scaled(w, first_row, g, sums + t * BLOCK_ROWS, totals + t * BLOCK_ROWS);
    }
    for (int t = 0; t < tokens; t++)
        store_scaled(totals + t * BLOCK_ROWS, x->scales[t], rows < block_rows ? rows : block_rows,
                     y + t * y_stride + first_row);
}

INLINE nk_panel panel_at(const nk_tokens *tokens, int32_t t) {
    return (nk_panel){tokens->codes + (ptrdiff_t)t * tokens->stride, tokens->sums + (ptrdiff_t)t * tokens->groups,
                      tokens->scales ? tokens->scales + t : 0, tokens->stride, tokens->groups};
}

INLINE int tile_tokens(const nk_matrix *w, int32_t left) {
    int tile = w->layout == NK_T2 ? T2_TILE : T5_TILE;
    return left < tile ? left : tile;
}

KERNEL void isa_multiply(const nk_matrix *w, const nk_tokens *tokens, float *y, ptrdiff_t y_stride, int32_t first_block,
                         int32_t blocks) {
    for (int32_t first = 0; first < tokens->tokens; first += PANEL_TOKENS) {
        int32_t left = tokens->tokens - first, end = first + (left < PANEL_TOKENS ? left : PANEL_TOKENS);
        for (int32_t block = first_block; block < first_block + blocks; block++)
            for (int32_t t = first, count; t < end; t += count) {
                nk_panel x = panel_at(tokens, t);
                count = tile_tokens(w, end - t);
                multiply_tile(w, &x, block, count, y + t * y_stride, y_stride);
            }
    }
}

KERNEL void isa_int_sums(const nk_matrix *w, const nk_tokens *tokens, int32_t *out, int32_t first_block,
                         int32_t blocks) {
    _Alignas(64) int32_t sums[TILE * BLOCK_ROWS];
    int32_t block_rows = nk_block_rows(w->layout);
    for (int32_t block = first_block; block < first_block + blocks; block++)
        for (int32_t t = 0, count; t < tokens->tokens; t += count) {
            nk_panel x = panel_at(tokens, t);
            int32_t first_row = block * block_rows, rows = w->rows - first_row;
            count = tile_tokens(w, tokens->tokens - t);
            for (int g = 0; g < x.groups; g++) {
                block_sums(w, &x, block, g, count, sums);
                for (int i = 0; i < count; i++)
                    memcpy(out + ((ptrdiff_t)g * tokens->tokens + t + i) * w->rows + first_row, sums + i * BLOCK_ROWS,
                           (size_t)(rows < block_rows ? rows : block_rows) * sizeof *out);
            }
        }
}
