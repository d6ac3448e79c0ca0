/* Tile sizes of the AVX-512 VNNI kernels. */
#define T2_TILE 6 /* tokens: 24 sums, the fields and the broadcast code fill the 32 registers */
#define T2_STRANDS 2
#define T2_SPAN INT32_MAX
#define T5_TILE 4
#define T5_SPAN INT32_MAX
