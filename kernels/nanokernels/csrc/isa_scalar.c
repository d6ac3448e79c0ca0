/* Plain C, for every machine.
 *
 * NK_MODEL, which only the tests set, builds the loops of the 512-bit or 256-bit VNNI kernels instead: the same sources
 * and tiles on plain vectors of that width, bit for bit what the hardware computes. */
#include <stdint.h>

#if NK_MODEL == 512
#define LANES 16
#include "tiles_512.h"
#elif NK_MODEL == 256
#define LANES 8
#include "tiles_256.h"
#else
#define LANES 4
#define T2_TILE 2
#define T2_STRANDS 1
#define T2_SPAN 128
#define T5_TILE 2
#define T5_SPAN 128
#endif

#define FAMILY "dot4.h"

#include "vec_scalar.h"

#include "kernels.h"

const nk_isa nk_scalar = {"scalar", isa_quantise, isa_multiply, isa_int_sums};
