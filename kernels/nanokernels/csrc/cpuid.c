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

int nk_has_avx2(void) { return system_saves(YMM_STATE) && has_bit(7, 0, EBX, 5); }

int nk_has_avxvnni(void) { return nk_has_avx2() && has_bit(7, 1, EAX, 4); }

int nk_has_avx512vnni(void) {
    return system_saves(ZMM_STATE) && nk_has_avx2() && has_bit(7, 0, EBX, 16) /* F */ && has_bit(7, 0, EBX, 30) /* BW */
           && has_bit(7, 0, ECX, 11) /* VNNI */;
}
#endif
