/* SPDX-License-Identifier: BSD-3-Clause */
/* state.c - see state.h */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NS_PER_S = 1000000000 };

static const char magic[8] = "sharedfs";

/* A clock that is further ahead than this is no queue: it was set before a reboot. */
static const uint64_t stale_ns = 600ull * NS_PER_S;

#define OP_NAME(name, class)  #name,
#define OP_CLASS(name, class) SFS_##class,
static const char *const op_names[] = {SFS_OPS(OP_NAME)};
static const enum sfs_op_class op_classes[] = {SFS_OPS(OP_CLASS)};

const char *sfs_op_name(enum sfs_op op)
{
    return op_names[op];
}

enum sfs_op_class sfs_op_class(enum sfs_op op)
{
    return op_classes[op];
}

uint64_t sfs_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void sfs_sleep_until(uint64_t when)
{
    struct timespec t = {.tv_sec = (time_t)(when / NS_PER_S), .tv_nsec = (long)(when % NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
        ;
    }
}

/* Writes a fresh state into an empty file. The caller has locked the file. Returns -1 with errno on
 * failure; is_state() checks what another process wrote. */
static int initialise(int fd, int create)
{
    struct sfs_state fresh = {.version = SFS_STATE_VERSION, .size = sizeof fresh};
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return -1;
    }
    if (st.st_size != 0 || !create) {
        return 0;
    }
    memcpy(fresh.magic, magic, sizeof magic);
    ssize_t n = pwrite(fd, &fresh, sizeof fresh, 0);
    if (n >= 0 && n != (ssize_t)sizeof fresh) {
        errno = ENOSPC;
    }
    return n == (ssize_t)sizeof fresh ? 0 : -1;
}

static bool is_state(int fd)
{
    struct sfs_state head;
    return pread(fd, &head, sizeof head, 0) == (ssize_t)sizeof head &&
           memcmp(head.magic, magic, sizeof magic) == 0 && head.version == SFS_STATE_VERSION &&
           head.size == sizeof head;
}

struct sfs_state *sfs_state_map(const char *path, int create)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0666);
    struct sfs_state *state = NULL;

    if (fd < 0) {
        return NULL;
    }
    if (flock(fd, LOCK_EX) == 0 && initialise(fd, create) == 0) {
        errno = EINVAL;
        if (is_state(fd)) {
            state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        }
    }
    int error = errno;
    flock(fd, LOCK_UN); /* close() would not unlock: the mapping keeps the open file */
    close(fd);
    errno = error;
    return state == MAP_FAILED ? NULL : state;
}

void sfs_state_reset(struct sfs_state *state)
{
    for (unsigned n = 0; n < SFS_MAX_NODES; n++) {
        struct sfs_counters *c = &state->node[n];
        for (unsigned op = 0; op < SFS_OP_COUNT; op++) {
            c->op[op] = 0;
        }
        c->read_bytes = c->write_bytes = c->mounts = 0;
    }
    state->meta_free = state->data_free = 0;
}

void sfs_state_count(struct sfs_state *state, unsigned node, enum sfs_op op, uint64_t bytes)
{
    struct sfs_counters *c = &state->node[node];
    atomic_fetch_add(&c->op[op], 1);
    if (op == SFS_OP_read) {
        atomic_fetch_add(&c->read_bytes, bytes);
    } else if (op == SFS_OP_write) {
        atomic_fetch_add(&c->write_bytes, bytes);
    }
}

/* Reserves the next `service` nanoseconds of the clock from `arrival` on. Returns their end. */
static uint64_t clock_reserve(_Atomic uint64_t *clock, uint64_t arrival, uint64_t service)
{
    uint64_t busy = atomic_load(clock), end;
    do {
        bool idle = busy < arrival || busy > arrival + stale_ns;
        end = (idle ? arrival : busy) + service;
    } while (!atomic_compare_exchange_weak(clock, &busy, end));
    return end;
}

uint64_t sfs_state_reserve(struct sfs_state *state, const struct sfs_costs *costs, enum sfs_op op,
                           uint64_t bytes, uint64_t start)
{
    uint64_t half = costs->rtt_ns / 2, arrival = start + half;
    enum sfs_op_class class = op_classes[op];

    if (class == SFS_LOCAL) {
        return start;
    }
    if (class == SFS_META && costs->meta_ns > 0) {
        arrival = clock_reserve(&state->meta_free, arrival, costs->meta_ns);
    }
    if (class == SFS_DATA && costs->bytes_per_second > 0) {
        double seconds = (double)bytes / (double)costs->bytes_per_second;
        arrival = clock_reserve(&state->data_free, arrival, (uint64_t)(seconds * (double)NS_PER_S));
    }
    return arrival + costs->rtt_ns - half;
}

static void counters_add(struct sfs_counters *sum, const struct sfs_counters *c)
{
    for (unsigned op = 0; op < SFS_OP_COUNT; op++) {
        sum->op[op] += c->op[op];
    }
    sum->read_bytes += c->read_bytes;
    sum->write_bytes += c->write_bytes;
}

static uint64_t metadata_ops(const struct sfs_counters *c)
{
    uint64_t sum = 0;
    for (unsigned op = 0; op < SFS_OP_COUNT; op++) {
        sum += op_classes[op] == SFS_META ? c->op[op] : 0;
    }
    return sum;
}

static void print_counters(const struct sfs_counters *c, FILE *out)
{
    fprintf(out, "\"metadata_ops\": %ju, \"read_bytes\": %ju, \"write_bytes\": %ju, \"ops\": {",
            (uintmax_t)metadata_ops(c), (uintmax_t)c->read_bytes, (uintmax_t)c->write_bytes);
    for (unsigned op = 0; op < SFS_OP_COUNT; op++) {
        fprintf(out, "%s\"%s\": %ju", op > 0 ? ", " : "", op_names[op], (uintmax_t)c->op[op]);
    }
    fputc('}', out);
}

void sfs_state_print(const struct sfs_state *state, FILE *out)
{
    struct sfs_counters sum = {0};
    const char *separator = "";

    for (unsigned n = 0; n < SFS_MAX_NODES; n++) {
        counters_add(&sum, &state->node[n]);
    }
    fputc('{', out);
    print_counters(&sum, out);
    fputs(",\n \"nodes\": [", out);
    for (unsigned n = 0; n < SFS_MAX_NODES; n++) {
        if (state->node[n].mounts == 0 && metadata_ops(&state->node[n]) == 0) {
            continue;
        }
        fprintf(out, "%s\n  {\"node\": %u, ", separator, n);
        print_counters(&state->node[n], out);
        fputc('}', out);
        separator = ",";
    }
    fputs("]}\n", out);
}
