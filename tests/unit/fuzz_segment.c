/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hostile segments: a process that attaches to one, reads every record and writes a bypass must not
 * crash or loop.
 *
 * An input is a list of changes to a sound segment that holds a record of each kind. Built by
 * libFuzzer (make fuzz-segment), or with -DREPLAY as a program of its own that makes up inputs:
 * fuzz_segment SECONDS [SEED]. Always with sanitizers. Either fails at its end where few inputs
 * were attached to, or no query found its record: then nothing was judged.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cache/mirror.h"
#include "cache/segment.h"
#include "policy/policy.h"
#include "samples.h"

enum { NONCE = 4711, ARENA = 65536, MOST_RECORDS = 64 };
enum { LEAST_ATTACHED = 10, FEW_INPUTS = 100 }; /* percent, of more inputs than these */

static const char *const paths[] = {"/", "/root/pkg", "/root/pkg/module.py",
                                    "/root/a/rather/long/path/to/some/file.so"};
enum { PATHS = sizeof paths / sizeof *paths };

static char file[64] = "/dev/shm/fuzz-segment-XXXXXX";
static char *image;  /* the sound segment */
static char *shared; /* a mapping of the file */
static size_t size;
static uint32_t offsets[MOST_RECORDS];
static size_t n_records;
static unsigned long inputs, attached, found;

static void fuzz_segment_remove_file(void)
{
    unlink(file);
}

static bool judged(void)
{
    return attached >= inputs * LEAST_ATTACHED / 100 && found > 0;
}

/* libFuzzer has no other end. (A run of a few inputs, given by name, need not be attached to.) */
static void say_what_was_judged(void)
{
    fprintf(stderr, "%lu hostile segments, %lu attached to, %lu records found\n", inputs, attached,
            found);
    if (inputs > FEW_INPUTS && !judged()) {
        fprintf(stderr, "FAIL: fewer than %d%% were attached to, or no record was found\n",
                LEAST_ATTACHED);
        fuzz_segment_remove_file();
        fflush(NULL);
        _exit(1);
    }
}

/* A segment just large enough, so that a record at its end can reach out of it. */
static void fuzz_segment_prepare(void)
{
    struct segment s;
    size_t header;

    close(mkstemp(file));
    atexit(fuzz_segment_remove_file);
    atexit(say_what_was_judged);
    unlink(file);
    if (segment_create(&s, file, 16 << 20, 1, NONCE) != 0) {
        abort();
    }
    header = segment_arena_start(&s);
    size = header + ARENA;
    for (int kind = 1; kind < RECORD_KINDS; kind++) {
        for (int i = 0; i < PATHS; i++) {
            struct record *r = sample_record((enum record_kind)kind, paths[i]);

            offsets[n_records++] =
                (uint32_t)((const char *)segment_insert(&s, r) - (char *)s.header);
            free(r);
        }
    }
    s.header->capacity = size;
    s.header->reserved = size;
    image = malloc(size);
    memcpy(image, s.header, size);
    segment_detach(&s);
    if (truncate(file, (off_t)size) != 0) {
        abort();
    }
    int fd = open(file, O_RDWR | O_CLOEXEC);
    shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
}

struct input {
    const uint8_t *bytes;
    size_t left;
};

static uint32_t fuzz_segment_take(struct input *in, size_t n)
{
    uint32_t value = 0;

    for (size_t i = 0; i < n && in->left > 0; i++, in->left--) {
        value = value << 8 | *in->bytes++;
    }
    return value;
}

static void fuzz_segment_put(size_t at, struct input *in)
{
    size_t n = fuzz_segment_take(in, 1) % 8 + 1;

    for (size_t i = 0; i < n && at + i < size; i++) {
        shared[at + i] = (char)fuzz_segment_take(in, 1);
    }
}

/* Seals a record as its maker would, if its lengths lie in the segment. */
static void fuzz_segment_seal(struct record *r, size_t room)
{
    if (record_size_for(r->path_length, r->payload_size) <= room && r->payload_size < room) {
        r->size = record_size_for(r->path_length, r->payload_size);
        record_seal(r);
    }
}

/* One change: of a record (sealed again or not), of the head, of a chain, of the arena's end. */
static void change(struct input *in)
{
    struct segment_header *h = (void *)shared;
    uint32_t at = offsets[fuzz_segment_take(in, 1) % n_records];
    struct record *r = (void *)(shared + at);

    switch (fuzz_segment_take(in, 1) % 8) {
    case 0:
        fuzz_segment_put(at + fuzz_segment_take(in, 1) % 64, in);
        break;
    case 1:
    case 2:
        fuzz_segment_put(at + 8 + fuzz_segment_take(in, 2) % 600, in);
        fuzz_segment_seal(r, size - at);
        break;
    case 3:
        fuzz_segment_put(at + 8 + fuzz_segment_take(in, 1) % 32, in);
        fuzz_segment_seal(r, size - at);
        h->buckets[r->hash % SEGMENT_BUCKETS] = at / 8;
        break;
    case 4:
        r->next = fuzz_segment_take(in, 4) % (uint32_t)(size / 4);
        break;
    case 5:
        h->buckets[r->hash % SEGMENT_BUCKETS] =
            (uint32_t)((size - fuzz_segment_take(in, 1) * 8) / 8);
        break;
    case 6:
        fuzz_segment_put(fuzz_segment_take(in, 1) % offsetof(struct segment_header, claims), in);
        break;
    default:
        fuzz_segment_put(size - fuzz_segment_take(in, 1) - 1, in);
    }
}

static void use_all(struct segment *s)
{
    static struct policy policy;

    for (int kind = 1; kind < RECORD_KINDS; kind++) {
        for (int i = 0; i < PATHS; i++) {
            struct fi_query q = query_make((enum record_kind)kind, 0, paths[i], strlen(paths[i]));
            const struct record *r = segment_find(s, &q);

            if (r == NULL) {
                continue;
            }
            if (!record_valid(r, s->mapped - (size_t)((const char *)r - (const char *)s->header))) {
                abort();
            }
            found++;
            sample_use(r);
            if (kind == RECORD_ROOTS) {
                policy_load(&policy, record_payload(r), r->payload_size - 1);
            }
        }
    }
}

static void write_too(struct segment *s)
{
    struct record *r = segment_allocate(s, 5, 0);

    if (r != NULL) {
        r->kind = RECORD_STALE;
        memcpy(r->path, "/a/b/", 5);
        record_seal(r);
        segment_publish(s, r);
        segment_announce(s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct input in = {bytes, n};
    struct segment s;

    if (image == NULL) {
        fuzz_segment_prepare();
    }
    memcpy(shared, image, size);
    while (in.left > 0) {
        change(&in);
    }
    inputs++;
    if (segment_attach(&s, file, NONCE) == 0) {
        attached++;
        struct node_cache node = {.index = s};
        struct stat st = {.st_dev = s.header->mirror_device};

        use_all(&s);
        mirror_original(&node, &st);
        write_too(&s);
        use_all(&s);
        segment_detach(&s);
    }
    return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    unsigned seed = argc > 2 ? (unsigned)atoi(argv[2]) : (unsigned)time(NULL);
    struct timespec start, now;
    uint8_t bytes[128];

    printf("seed %u\n", seed);
    fflush(stdout);
    srandom(seed);
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        size_t n = (size_t)random() % sizeof bytes;

        for (size_t i = 0; i < n; i++) {
            bytes[i] = (uint8_t)(random() >> 8);
        }
        LLVMFuzzerTestOneInput(bytes, n);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 <
             seconds);
    printf("%d passed, %d failed\n", judged(), !judged());
    return !judged();
}
#endif
