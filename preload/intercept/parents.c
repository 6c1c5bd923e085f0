/* SPDX-License-Identifier: BSD-3-Clause */
/* parents.c - see parents.h */
#include "intercept/parents.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/sys.h"
#include "resolve.h"

enum { SLOTS = 64, TEXT_MAX = 224, WORDS = 32 };

enum question { ASK_LSTAT = 1, ASK_STAT, ASK_READLINK };

/* A remembered answer of the kernel. */
struct remembered {
    uint64_t key;     /* hash of question and path; 0: empty */
    uint64_t changes; /* parents_changes() before the kernel was asked */
    int64_t until;
    int64_t length; /* of `text` */
    union {
        struct stat st;
        char text[TEXT_MAX];
    };
};

_Static_assert(sizeof(struct remembered) <= WORDS * sizeof(uint64_t), "it fits in the words");

/* A sequence lock for each slot: an odd sequence means that it is being written. A reader that sees
 * this asks the kernel instead of waiting, because the writer may be the thread that a signal has
 * interrupted, or a thread that does not exist after fork. */
static struct slot {
    _Atomic uint64_t sequence;
    _Atomic uint64_t words[WORDS];
} slots[SLOTS];

static uint64_t parents_changes(void)
{
    return atomic_load(&resolver.node->index.header->changes_above);
}

static bool parents_take(struct slot *slot, struct remembered *out)
{
    uint64_t words[WORDS];
    uint64_t sequence = atomic_load(&slot->sequence);

    for (size_t i = 0; i < WORDS; i++) {
        words[i] = atomic_load_explicit(&slot->words[i], memory_order_acquire);
    }
    memcpy(out, words, sizeof *out);
    return sequence % 2 == 0 &&
           atomic_load_explicit(&slot->sequence, memory_order_relaxed) == sequence;
}

static void parents_put(struct slot *slot, const struct remembered *known)
{
    uint64_t words[WORDS] = {0};
    uint64_t sequence = atomic_load(&slot->sequence);

    if (sequence % 2 != 0 ||
        !atomic_compare_exchange_strong(&slot->sequence, &sequence, sequence + 1)) {
        return;
    }
    memcpy(words, known, sizeof *known);
    for (size_t i = 0; i < WORDS; i++) {
        atomic_store_explicit(&slot->words[i], words[i], memory_order_release);
    }
    atomic_store(&slot->sequence, sequence + 2);
}

/* Asks the kernel. Returns 0, or -1 if the answer is not to be remembered: only directories and
 * symlinks are asked for again and again, and an error may be temporary. */
static int parents_ask(enum question question, const char *path, struct remembered *out)
{
    ssize_t n;

    if (question != ASK_READLINK) {
        int error = question == ASK_STAT ? sys_stat(path, &out->st) : sys_lstat(path, &out->st);

        return error != 0 || !(S_ISDIR(out->st.st_mode) || S_ISLNK(out->st.st_mode)) ? -1 : 0;
    }
    n = sys_readlink(path, out->text, sizeof out->text);
    out->length = n;
    return n > 0 && n < (ssize_t)sizeof out->text ? 0 : -1;
}

static bool parents_look_up(enum question question, enum call_family family, const char *path,
                            struct remembered *out)
{
    uint64_t key;
    uint64_t now;
    int64_t at;
    struct slot *slot;

    if (!resolve_active || fi_inside() || !could_be_pointer(path) ||
        !policy_is_above(resolver.policy, path)) {
        return false;
    }
    key = fi_hash(path, strlen(path), (uint64_t)question) | 1;
    slot = &slots[key / 2 % SLOTS];
    now = parents_changes();
    at = sys_now_ns();
    if (parents_take(slot, out) && out->key == key && out->changes == now && at < out->until) {
        count_add(&fi_count->intercepted[family], 1);
        count_add(&fi_count->served[family], 1);
        return true;
    }
    *out = (struct remembered){
        .key = key, .changes = now, .until = at + (int64_t)PARENTS_AGE_MS * 1000 * 1000};
    if (parents_ask(question, path, out) != 0) {
        return false;
    }
    parents_put(slot, out);
    return true;
}

bool parents_stat(const char *path, bool follow, struct stat *st)
{
    struct remembered known;

    if (!could_be_pointer(st) ||
        !parents_look_up(follow ? ASK_STAT : ASK_LSTAT, CALL_STAT, path, &known)) {
        return false;
    }
    *st = known.st;
    return true;
}

bool parents_readlink(const char *path, char *buf, size_t size, ssize_t *result)
{
    struct remembered known;

    if (!parents_look_up(ASK_READLINK, CALL_PATH, path, &known)) {
        return false;
    }
    *result = known.length < (ssize_t)size ? known.length : (ssize_t)size;
    memcpy(buf, known.text, (size_t)*result);
    return true;
}
