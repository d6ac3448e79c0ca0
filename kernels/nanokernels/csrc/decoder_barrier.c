/* Where threads wait for each other: a short spin, since the others are mostly there at once, then asleep, since on a
 * busy machine the one that is missing may need this processor. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "decoder_run.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINS = 1000 }; /* 20 to 50 microseconds */

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void sleep_while(atomic_uint *value, unsigned expected) {
    syscall(SYS_futex, value, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void wake_all(atomic_uint *value) {
    syscall(SYS_futex, value, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
}

void nk_barrier_init(nk_barrier *barrier, int threads) {
    atomic_init(&barrier->arrived, 0);
    atomic_init(&barrier->phase, 0);
    atomic_init(&barrier->sleepers, 0);
    barrier->threads = threads;
}

/* The last one begins a new phase. Sleepers announce themselves before the kernel compares the phase, so that none can
 * be missed. */
static void barrier_wait(nk_barrier *b) {
    unsigned phase = atomic_load(&b->phase);
    if (atomic_fetch_add(&b->arrived, 1) == b->threads - 1) {
        atomic_store(&b->arrived, 0);
        atomic_store(&b->phase, phase + 1);
        if (atomic_load(&b->sleepers))
            wake_all(&b->phase);
        return;
    }
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&b->phase, memory_order_acquire) != phase)
            return;
        relax();
    }
    atomic_fetch_add(&b->sleepers, 1);
    while (atomic_load(&b->phase) == phase)
        sleep_while(&b->phase, phase);
    atomic_fetch_sub(&b->sleepers, 1);
}

void nk_wait(nk_run *r) {
    if (r->threads > 1)
        barrier_wait(&r->d->barrier);
}
