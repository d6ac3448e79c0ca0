/* Tile sizes of the AVX-VNNI kernels. */
#define T2_TILE 3 /* tokens: 12 sums, and the fields one by one, fill the 16 registers */
#define T2_STRANDS 2
#define T2_SPAN 128 /* lines: 8 KiB, which stay in the first-level cache while each half is met */
#define T5_TILE 2
#define T5_SPAN 128
