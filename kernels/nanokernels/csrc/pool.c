/* Threads that wait parked in the kernel, and spin only for the few microseconds between two runs of a busy caller.
 *
 * A spinning barrier collapses on a machine with more threads than CPUs: the spinner keeps the CPU from the one it waits
 * for. So every wait spins for at most SPIN_NANOSECONDS and then sleeps on a futex. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "nanokernels.h"

#define SPIN_NANOSECONDS 20000
#define SPINS_BETWEEN_CLOCK_READS 32

struct nk_pool {
    _Atomic uint32_t round;   /* counts runs; workers wait for it to change */
    _Atomic uint32_t running; /* workers that have not finished this round; the caller waits for 0 */
    _Atomic int stopping;
    nk_work work;
    void *argument;
    pthread_mutex_t one_run;
    pid_t process;            /* a forked child has the memory but not the threads */
    int threads, started;
    struct worker {
        nk_pool *pool;
        pthread_t thread;
        int index;
    } workers[];
};

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Returns once *word differs from `value`. */
static void wait_while(_Atomic uint32_t *word, uint32_t value) {
    int64_t until = nanoseconds() + SPIN_NANOSECONDS;
    do {
        for (int i = 0; i < SPINS_BETWEEN_CLOCK_READS; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != value)
                return;
            relax();
        }
    } while (nanoseconds() < until);
    while (atomic_load_explicit(word, memory_order_acquire) == value)
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake_all(_Atomic uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0); }

static void *worker_main(void *argument) {
    struct worker *self = argument;
    nk_pool *pool = self->pool;
    for (uint32_t round = 0;; round++) {
        wait_while(&pool->round, round);
        if (atomic_load(&pool->stopping))
            return NULL;
        pool->work(pool->argument, self->index, pool->threads);
        if (atomic_fetch_sub(&pool->running, 1) == 1)
            wake_all(&pool->running);
    }
}

nk_pool *nk_pool_new(int threads) {
    if (threads < 1)
        return NULL;
    nk_pool *pool = calloc(1, sizeof *pool + (size_t)threads * sizeof *pool->workers);
    if (!pool)
        return NULL;
    pool->threads = threads;
    pool->process = getpid();
    pthread_mutex_init(&pool->one_run, NULL);
    for (int i = 1; i < threads; i++) {
        struct worker *worker = pool->workers + i;
        *worker = (struct worker){pool, 0, i};
        if (pthread_create(&worker->thread, NULL, worker_main, worker)) {
            nk_pool_free(pool);
            return NULL;
        }
        pool->started = i;
    }
    return pool;
}

int nk_pool_threads(const nk_pool *pool) { return pool ? pool->threads : 1; }

static void next_round(nk_pool *pool) {
    atomic_fetch_add(&pool->round, 1);
    wake_all(&pool->round);
}

static void wait_until_zero(_Atomic uint32_t *word) {
    for (uint32_t left; (left = atomic_load_explicit(word, memory_order_acquire)) != 0;)
        wait_while(word, left);
}

void nk_pool_run(nk_pool *pool, nk_work work, void *argument) {
    int threads = nk_pool_threads(pool);
    if (threads == 1 || pool->process != getpid()) {
        for (int i = 0; i < threads; i++)
            work(argument, i, threads);
        return;
    }
    pthread_mutex_lock(&pool->one_run);
    pool->work = work;
    pool->argument = argument;
    atomic_store(&pool->running, (uint32_t)threads - 1);
    next_round(pool);
    work(argument, 0, threads);
    wait_until_zero(&pool->running);
    pthread_mutex_unlock(&pool->one_run);
}

void nk_pool_free(nk_pool *pool) {
    if (!pool)
        return;
    if (pool->process == getpid()) {
        atomic_store(&pool->stopping, 1);
        next_round(pool);
        for (int i = 1; i <= pool->started; i++)
            pthread_join(pool->workers[i].thread, NULL);
        pthread_mutex_destroy(&pool->one_run);
    }
    free(pool);
}
