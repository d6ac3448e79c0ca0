/* Which instruction set runs: the fastest this CPU has, or the one that was asked for. */
#include "nanokernels.h"

#include <stdatomic.h>
#include <string.h>

#include "isa.h"

static const struct {
    const nk_isa *isa;
    int (*runs_here)(void);
} LEVELS[] = {
#if defined(__x86_64__)
    {&nk_avx512vnni, nk_has_avx512vnni},
    {&nk_avxvnni, nk_has_avxvnni},
    {&nk_avx2, nk_has_avx2},
#elif defined(__aarch64__)
    {&nk_neon, nk_has_neon},
#endif
    {&nk_scalar, nk_has_all},
};
enum { LEVEL_COUNT = sizeof LEVELS / sizeof *LEVELS };

static _Atomic(const nk_isa *) active;

static const nk_isa *fastest(void) {
    int level = 0;
    while (!LEVELS[level].runs_here())
        level++;
    return LEVELS[level].isa;
}

int nk_version(void) { return NK_VERSION; }

const nk_isa *nk_find(const char *name) {
    for (int level = 0; level < LEVEL_COUNT; level++)
        if (!strcmp(LEVELS[level].isa->name, name))
            return LEVELS[level].runs_here() ? LEVELS[level].isa : NULL;
    return NULL;
}

const nk_isa *nk_active(void) {
    const nk_isa *isa = atomic_load_explicit(&active, memory_order_relaxed);
    if (!isa) {
        isa = fastest();
        atomic_store_explicit(&active, isa, memory_order_relaxed);
    }
    return isa;
}

int nk_use(const char *name) {
    const nk_isa *isa = name ? nk_find(name) : fastest();
    if (!isa)
        return 0;
    atomic_store_explicit(&active, isa, memory_order_relaxed);
    return 1;
}

void nk_sum_codes(nk_tokens *tokens) {
    int32_t width = nk_padded(tokens->columns) / tokens->groups;
    for (int32_t t = 0; t < tokens->tokens; t++)
        for (int32_t g = 0; g < tokens->groups; g++) {
            const int8_t *codes = tokens->codes + (ptrdiff_t)t * tokens->stride + (ptrdiff_t)g * width;
            int32_t sum = 0;
            for (int32_t i = 0; i < width; i++)
                sum += codes[i];
            tokens->sums[(ptrdiff_t)t * tokens->groups + g] = sum;
        }
}
