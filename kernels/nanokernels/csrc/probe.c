/* The limits of this machine: loops that only read, or only multiply.
 *
 * They are in assembly, because a compiler leaves out work whose result nobody wants. A step of `dot` is what the
 * kernels do with four codes in each lane in their inner loop. CHAINS sums do not wait for each other: a step takes up
 * to five cycles, and two can begin in each. */
#include "probe.h"

#include <string.h>

#define LANES 4
#include "vec_scalar.h"

enum { CHAINS = 12, PLAIN_CHAINS = 4, STRIDE = 4 * NK_LINE };
#define EVERY_CHAIN(STEP)                                                                            \
    STEP("0") STEP("1") STEP("2") STEP("3") STEP("4") STEP("5") STEP("6") STEP("7") STEP("8") STEP("9") \
    STEP("10") STEP("11")

typedef struct {
    const char *isa;
    int64_t operations; /* of one round: two for each product that is added */
    void (*read)(const uint8_t *data, size_t bytes, size_t ahead);
    void (*dot)(int64_t rounds);
} probe;

/* `load` is known when this is compiled, and becomes a part of the loop. */
INLINE void read_lines(const uint8_t *data, size_t bytes, size_t ahead, void (*load)(const uint8_t *)) {
    const uint8_t *end = data + bytes, *unrolled = data + bytes / STRIDE * STRIDE;
    for (; data < unrolled; data += STRIDE)
        for (int line = 0; line < STRIDE; line += NK_LINE) {
            if (ahead)
                __builtin_prefetch((const void *)((uintptr_t)data + ahead + (size_t)line));
            load(data + line);
        }
    for (; data < end; data += NK_LINE)
        load(data);
}

#if defined(__x86_64__)
#define REGISTERS                                                                                     \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
        "xmm12", "xmm13", "xmm14"

/* Code without AVX would wait at every instruction while the upper halves of registers are in use. */
static void end_vectors(void) { __asm__ volatile("vzeroupper" ::: "xmm0"); }

INLINE void load_512(const uint8_t *line) { __asm__ volatile("vmovdqu64 (%0), %%zmm0" ::"r"(line) : "xmm0"); }
INLINE void load_256(const uint8_t *line) {
    __asm__ volatile("vmovdqu (%0), %%ymm0\n\tvmovdqu 32(%0), %%ymm1" ::"r"(line) : "xmm0", "xmm1");
}
INLINE void load_plain(const uint8_t *line) {
    __asm__ volatile("movups (%0), %%xmm0\n\tmovups 16(%0), %%xmm1\n\t"
                     "movups 32(%0), %%xmm2\n\tmovups 48(%0), %%xmm3" ::"r"(line)
                     : "xmm0", "xmm1", "xmm2", "xmm3");
}

static void read_512(const uint8_t *data, size_t bytes, size_t ahead) {
    read_lines(data, bytes, ahead, load_512);
    end_vectors();
}
static void read_256(const uint8_t *data, size_t bytes, size_t ahead) {
    read_lines(data, bytes, ahead, load_256);
    end_vectors();
}

#define DOT_512(sum) "vpdpbusd %%zmm13, %%zmm12, %%zmm" sum "\n\t"
static void dot_avx512vnni(int64_t rounds) {
    for (int64_t i = 0; i < rounds; i++)
        __asm__ volatile(EVERY_CHAIN(DOT_512)::: REGISTERS);
    end_vectors();
}
#define DOT_256(sum) "%{vex%} vpdpbusd %%ymm13, %%ymm12, %%ymm" sum "\n\t"
static void dot_avxvnni(int64_t rounds) {
    for (int64_t i = 0; i < rounds; i++)
        __asm__ volatile(EVERY_CHAIN(DOT_256)::: REGISTERS);
    end_vectors();
}
#define MADDUBS_256(sum) "vpmaddubsw %%ymm13, %%ymm12, %%ymm14\n\tvpaddw %%ymm14, %%ymm" sum ", %%ymm" sum "\n\t"
static void dot_avx2(int64_t rounds) {
    for (int64_t i = 0; i < rounds; i++)
        __asm__ volatile(EVERY_CHAIN(MADDUBS_256)::: REGISTERS);
    end_vectors();
}
#elif defined(__aarch64__)
INLINE void load_plain(const uint8_t *line) {
    __asm__ volatile("ldp q0, q1, [%0]\n\tldp q2, q3, [%0, #32]" ::"r"(line) : "v0", "v1", "v2", "v3");
}

#define DOT_128(sum) "sdot v" sum ".4s, v12.16b, v13.16b\n\t"
__attribute__((target("arch=armv8.2-a+dotprod"))) static void dot_neon(int64_t rounds) {
    for (int64_t i = 0; i < rounds; i++)
        __asm__ volatile(EVERY_CHAIN(DOT_128)::: "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",
                         "v11");
}
#else
INLINE void load_plain(const uint8_t *line) {
    const volatile uint64_t *words = (const volatile uint64_t *)line;
    for (int i = 0; i < NK_LINE / 8; i++)
        (void)words[i];
}
#endif

static void read_plain(const uint8_t *data, size_t bytes, size_t ahead) { read_lines(data, bytes, ahead, load_plain); }

static void dot_plain(int64_t rounds) {
    v_int sums[PLAIN_CHAINS] = {{0}}, bytes = v_set(0x02010201), codes = v_set(0x01ff7f81);
    for (int64_t i = 0; i < rounds; i++) {
        __asm__ volatile("" : "+m"(bytes), "+m"(codes)); /* as if they were others each time */
        for (int chain = 0; chain < PLAIN_CHAINS; chain++)
            sums[chain] = v_dot4(sums[chain], v_add(bytes, v_set(chain)), codes);
    }
    __asm__ volatile("" ::"m"(sums));
}

#define PER_VECTOR(bytes) (2 * (bytes))
static const probe PROBES[] = {
#if defined(__x86_64__)
    {"avx512vnni", CHAINS * PER_VECTOR(64), read_512, dot_avx512vnni},
    {"avxvnni", CHAINS * PER_VECTOR(32), read_256, dot_avxvnni},
    {"avx2", CHAINS * PER_VECTOR(32), read_256, dot_avx2},
#elif defined(__aarch64__)
    {"neon", CHAINS * PER_VECTOR(16), read_plain, dot_neon},
#endif
    {"scalar", PLAIN_CHAINS * PER_VECTOR(4 * LANES), read_plain, dot_plain},
};

static const probe *probe_of(const nk_isa *isa) {
    const probe *found = PROBES;
    while (strcmp(found->isa, isa->name))
        found++;
    return found;
}

int64_t nk_probe_operations(const nk_isa *isa) { return probe_of(isa)->operations; }

typedef struct {
    const probe *probe;
    const nk_rotation *rotation;
    int64_t ahead, rounds;
} job;

static const nk_matrix *visited(const nk_rotation *rotation, int64_t visit) {
    return rotation->matrices + (rotation->first + visit) % rotation->count;
}

static void read_share(void *argument, int thread, int threads) {
    const job *j = argument;
    for (int64_t visit = 0; visit < j->rotation->visits; visit++) {
        const nk_matrix *w = visited(j->rotation, visit);
        size_t block = (size_t)nk_padded(w->columns) / 4 * NK_LINE;
        int32_t first, count;
        nk_share(nk_blocks(w), thread, threads, &first, &count);
        j->probe->read(w->data + (size_t)first * block, (size_t)count * block, (size_t)j->ahead);
    }
}

void nk_probe_read(const nk_isa *isa, nk_pool *pool, const nk_rotation *rotation, int64_t ahead) {
    job j = {.probe = probe_of(isa), .rotation = rotation, .ahead = ahead};
    nk_pool_run(pool, read_share, &j);
}

static void dot_share(void *argument, int thread, int threads) {
    const job *j = argument;
    (void)thread, (void)threads; /* every thread does all rounds */
    j->probe->dot(j->rounds);
}

void nk_probe_dot(const nk_isa *isa, nk_pool *pool, int64_t rounds) {
    job j = {.probe = probe_of(isa), .rounds = rounds};
    nk_pool_run(pool, dot_share, &j);
}

void nk_probe_multiply(const nk_isa *isa, nk_pool *pool, const nk_rotation *rotation, const float *x,
                       nk_tokens *tokens, float *y) {
    for (int64_t visit = 0; visit < rotation->visits; visit++) {
        const nk_matrix *w = visited(rotation, visit);
        if (x)
            isa->quantise(x, w->columns, tokens);
        nk_multiply_all(isa, pool, w, tokens, y, w->rows);
    }
}
