/*
 * plan.h - the startup plan: what a program asked for when it ran before, and will ask for again.
 *
 * A plan is a list of keys (kind, argument, path), no answers: at start the root looks all of them
 * up again, many at once, so what is served is as fresh as in a cold run. After the run, what was
 * asked for is merged in; an entry that was not used for PLAN_MAX_AGE runs is dropped. Text file
 * (plan_file.h). Anything wrong with it (another version, another program's, a bad checksum,
 * another user's file) is one warning and a cold run.
 *
 * Thread rules: the root's service thread only.
 */
#ifndef FASTIMPORT_PLAN_PLAN_H
#define FASTIMPORT_PLAN_PLAN_H

#include "cache/node.h"
#include "process/config.h"

enum { PLAN_MAX_AGE = 5 };

struct plan_entry {
    char *path;
    uint64_t argument;
    uint64_t size; /* of a file, when it was last seen */
    uint32_t length;
    uint16_t age; /* runs in which nobody asked for it */
    uint8_t kind;
};

struct plan {
    char file[4096]; /* "" : no plan is kept */
    bool load, save;
    bool refused; /* it could not be read, and a line said so */
    uint64_t key;
    struct plan_entry *entries;
    size_t n, room;
    size_t loaded; /* entries that were read */
    size_t used;   /* of these, asked for in this run; known after a complete merge */
    size_t missed; /* what was asked for and had to be added */
};

/* What makes two runs the same program. */
struct plan_identity {
    int argc;
    char **argv;
    const char *roots; /* the policy's text */
};

/* Finds out where the plan is (FASTIMPORT_PLAN), and reads it if it is to be used. */
void plan_open(struct plan *plan, const struct fi_config *config,
               const struct plan_identity *identity);

/* Takes in what was asked for, by what is in the segment. `complete`: the marks RECORD_USED of all
 * nodes have been collected, so entries that are not marked grow older. May be called twice: first
 * incomplete, at last complete. */
void plan_merge(struct plan *plan, const struct segment *segment, bool complete);

/* Writes the file, if it is to be written. One that was refused, and could not be replaced either,
 * is not complained of again. */
void plan_save(const struct plan *plan);

/* For plan_file.c: a copy of the entry. False: no memory, or there are too many. */
bool plan_add(struct plan *plan, const struct plan_entry *entry);

void plan_close(struct plan *plan);

#endif
