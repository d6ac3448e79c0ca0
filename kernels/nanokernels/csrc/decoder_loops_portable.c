/* The decoder's float loops for any machine, and the choice among the tables. */
#include "decoder_vector_portable.h"
#include "decoder_loops_body.h"
#include "decoder_tiles_body.h"
#include "isa.h"

const nk_loops *nk_loops_portable(void) { return &table; }

const nk_loops *nk_loops_active(void) {
#if defined(__x86_64__)
    const char *name = nk_active()->name;
    if (!strcmp(name, "avx512vnni"))
        return nk_loops_avx512();
    if (!strncmp(name, "avx", 3) && nk_has_fma())
        return nk_loops_avx2();
#endif
    return nk_loops_portable();
}
