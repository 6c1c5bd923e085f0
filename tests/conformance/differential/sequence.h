/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sequence: a random run of calls on the tree of a plan.
 *
 * Call number i is a pure function of (seed, sequence, i): leaving other calls out does not change
 * it, which is what makes shrinking work. State that calls share lives in numbered slots; a call on
 * an empty slot works on descriptor -1.
 *
 * Writes never leave the plan's ground, whatever the random paths say. The judge of that is a
 * shadow: for the working directory and each slot an O_PATH descriptor, opened by raw system calls,
 * hence the same with and without the library.
 */
#ifndef TESTS_DIFFERENTIAL_SEQUENCE_H
#define TESTS_DIFFERENTIAL_SEQUENCE_H

#include "tests/conformance/differential/plan.h"

#include <dirent.h>
#include <stdbool.h>

#define SLOTS    6
#define CWD_SLOT SLOTS       /* shadow of the working directory */
#define BAD_PATH ((char *)8) /* unmapped */

struct sequence {
    struct plan plan;
    unsigned kinds; /* of arguments to leave out: SEQ_NO_... */
    int fds[SLOTS];
    int shadows[SLOTS + 1];
    DIR *dirs[SLOTS];
    unsigned dir_born[SLOTS]; /* `changes` when the stream was opened or rewound */
    unsigned changes;         /* writes so far */
    void *handles[SLOTS];     /* of dlopen */
    struct {
        int fd;
        const char *path;
    } written[2]; /* what the current call writes to; valid while it runs */
    unsigned n_written;
};

#define SEQ_NO_BAD_POINTERS 1u
#define SEQ_NO_WRITES       2u

/* A directory argument: a descriptor and the slot of its shadow (CWD_SLOT, or -1 for none). */
struct where {
    int fd, slot;
    char label[16];
};

/* Starts with the working directory at the root of the tree and empty slots; ends with them closed.
 */
void sequence_start(struct sequence *s, uint64_t seed, unsigned number, const char *tree,
                    unsigned kinds);
void sequence_call(struct sequence *s, unsigned index);
/* Closes all slots and fills them anew. For a process that has heard of what another one has
 * changed: what it had open before may show the old state on a network file system, too. */
void sequence_refresh(struct sequence *s);
void sequence_end(struct sequence *s);

/* arguments.c: random arguments. Paths live in one of 4 static buffers. */
const char *arg_path(const struct sequence *s, struct rng *r);
struct where arg_where(const struct sequence *s, struct rng *r);
void *arg_buffer(const struct sequence *s, struct rng *r, void *good);
int arg_open_flags(struct rng *r);
int arg_at_flags(struct rng *r);
unsigned arg_slot(struct rng *r);

/* shadow.c */
void shadow_start(struct sequence *s);
void shadow_end(struct sequence *s);
/* Makes slot `to` the shadow of what `path` from `from` names (empty if nothing). */
void shadow_open(struct sequence *s, int to, int from, const char *path, bool nofollow);
void shadow_copy(struct sequence *s, int to, int from);
void shadow_close(struct sequence *s, int slot);
/* Whether a write to `path` from `from` stays on the ground, or is bound to fail anyway. */
bool shadow_permits(const struct sequence *s, int from, const char *path);
bool shadow_permits_slot(const struct sequence *s, int slot);

/* Calls, in tables that calls.c draws from. */
struct call {
    const char *name;
    unsigned weight;
    void (*run)(struct sequence *s, struct rng *r);
};

/* Looks at what the call just made wrote to (calls_write.c). */
void sequence_look_again(struct sequence *s);

extern const struct call calls_look[], calls_open[], calls_dir[],
    calls_write[]; /* ended by a NULL name */

#endif
