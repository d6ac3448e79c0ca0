/* What an x86 CPU and its operating system offer. */
#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>

#include "isa.h"

enum { EAX, EBX, ECX, EDX };
enum { YMM_STATE = 0x06, ZMM_STATE = 0xe6 }; /* registers the operating system saves (XCR0) */

static int has_bit(unsigned leaf, unsigned subleaf, int part, int bit) {
    unsigned parts[4];
    return __get_cpuid_count(leaf, subleaf, parts, parts + 1, parts + 2, parts + 3) && (parts[part] >> bit & 1);
}

static int system_saves(uint32_t registers) {
    uint32_t low, high;
    if (!has_bit(1, 0, ECX, 27)) /* OSXSAVE */
        return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & registers) == registers;
}

/* Leaf, subleaf, register and bit of what the target attributes of the sources name: a function may run only where every
 * name in its target was asked for here. */
#define FMA 1, 0, ECX, 12
#define F16C 1, 0, ECX, 29
#define AVX2 7, 0, EBX, 5
#define AVXVNNI 7, 1, EAX, 4
#define AVX512F 7, 0, EBX, 16
#define AVX512BW 7, 0, EBX, 30
#define AVX512VL 7, 0, EBX, 31
#define AVX512VNNI 7, 0, ECX, 11

int nk_has_avx2(void) { return system_saves(YMM_STATE) && has_bit(AVX2); }

int nk_has_fma(void) { return nk_has_avx2() && has_bit(FMA) && has_bit(F16C); }

int nk_has_avxvnni(void) { return nk_has_avx2() && has_bit(AVXVNNI); }

int nk_has_avx512vnni(void) {
    return system_saves(ZMM_STATE) && nk_has_avx2() && has_bit(AVX512F) && has_bit(AVX512BW) && has_bit(AVX512VL) &&
           has_bit(AVX512VNNI);
}
#endif
