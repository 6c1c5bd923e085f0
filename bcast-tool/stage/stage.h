/* SPDX-License-Identifier: BSD-3-Clause */
/* stage.h - the command `stage`: puts archives into DIR on every node, or on none. stage.c has the
 * whole sequence, to be read from top to bottom. */
#ifndef BCAST_STAGE_STAGE_H
#define BCAST_STAGE_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "nodes/nodes.h"
#include "nodes/status.h"
#include "stage/cleanup_helper.h"

enum stage_travel { TRAVEL_AUTO, TRAVEL_PLAIN, TRAVEL_STORED };

struct stage_options {
    const char *const *archives;
    int n;
    const char *dir;
    const char *old_prefix; /* NULL: find out */
    int allow_failed;
    bool force, dry_run, external_links;
    uint64_t max_bytes, max_files; /* 0: the default limit */
    enum stage_travel travel;
    /* Leader 0 calls it now and then with the bytes of the archives: read so far, and in all. May
     * be NULL. */
    void (*progress)(uint64_t done, uint64_t all, double seconds);
};

enum stage_outcome { STAGE_DONE, STAGE_NOTHING_TO_DO, STAGE_WOULD_DO, STAGE_FAILED };

struct stage_result {
    enum stage_outcome outcome;
    int nodes, failed;        /* number of nodes, and of those that failed */
    struct node_status first; /* the status of the first node that failed */
    /* Leader 0: the status of each node, which the caller frees; NULL if the job ended before. */
    struct node_status *reports;
    /* Leader 0: entries and bytes unpacked here, bytes of the archives. */
    uint64_t files, bytes, stored;
    double seconds; /* from the call to its end, in this process */
};

/* Collective over MPI_COMM_WORLD. All ranks get outcome, nodes, failed and first. */
void stage_run(struct nodes *nodes, struct cleanup_helper *helper, const struct stage_options *o,
               struct stage_result *result);

/* For signal handlers: this node gives up. */
void stage_interrupt(int signal);

/* The signal that stage_interrupt() was called with, or 0. */
int stage_interrupted(void);

#endif
