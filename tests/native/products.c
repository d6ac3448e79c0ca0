/* products PATH LAYOUT ROWS COLUMNS GROUPS TOKENS < packed data, scales, x: writes codes, token scales, int sums and y.
 * A test feeds it what numpy made, where Python itself does not run: another architecture under an emulator. */
#include <stdio.h>
#include <stdlib.h>

#include "nanokernels.h"

static void *room(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        exit(3);
    return memory;
}

static void *filled(size_t count, size_t size) {
    void *memory = room(count, size);
    if (fread(memory, size, count, stdin) != count)
        exit(4);
    return memory;
}

int main(int argc, char **argv) {
    const nk_isa *isa = argc == 7 ? nk_find(argv[1]) : NULL;
    if (!isa)
        return 2;
    nk_matrix w = {.layout = atoi(argv[2]), .rows = atoi(argv[3]), .columns = atoi(argv[4]), .groups = atoi(argv[5])};
    int tokens = atoi(argv[6]), groups = w.groups ? w.groups : 1, stride = nk_padded(w.columns);
    w.data = filled((size_t)nk_blocks(&w) * stride / 4, NK_LINE);
    w.scale = filled(w.groups ? (size_t)w.groups * w.rows : 1, sizeof(float));
    float *x = filled((size_t)tokens * w.columns, sizeof *x), *y = room((size_t)tokens * w.rows, sizeof *y);
    nk_tokens t = {room((size_t)tokens * stride, 1), room(tokens, sizeof(float)), room((size_t)tokens * groups, 4),
                   tokens, w.columns, groups, stride};
    int32_t *sums = room((size_t)groups * tokens * w.rows, sizeof *sums);
    nk_pool *pool = nk_pool_new(3);
    isa->quantise(x, w.columns, &t);
    nk_int_sums_all(isa, pool, &w, &t, sums);
    nk_multiply_all(isa, pool, &w, &t, y, w.rows);
    fwrite(t.codes, 1, (size_t)tokens * stride, stdout);
    fwrite(t.scales, sizeof(float), tokens, stdout);
    fwrite(sums, sizeof *sums, (size_t)groups * tokens * w.rows, stdout);
    fwrite(y, sizeof *y, (size_t)tokens * w.rows, stdout);
    nk_pool_free(pool);
    return 0;
}
