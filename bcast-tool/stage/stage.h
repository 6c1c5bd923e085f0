/* `stage`: archives to every node's DIR, all or nothing. The flow reads top to bottom in stage.c.
 */
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
    const char *old_prefix; /* or NULL */
    int allow_failed;
    bool force, dry_run, external_links;
    uint64_t max_bytes, max_files; /* 0: the default */
    enum stage_travel travel;
    /* Leader 0: called now and then with bytes of the archives, done and in all. May be NULL. */
    void (*progress)(uint64_t done, uint64_t all, double seconds);
};

enum stage_outcome { STAGE_DONE, STAGE_NOTHING_TO_DO, STAGE_WOULD_DO, STAGE_FAILED };

struct stage_result {
    enum stage_outcome outcome;
    int nodes, failed;        /* nodes in all, and those that failed */
    struct node_status first; /* the first failed node's */
    struct node_status
        *reports; /* leader 0: all nodes'; the caller frees; NULL if it did not get so far */
    uint64_t files, bytes,
        stored;     /* leader 0: entries and bytes unpacked here, bytes of the archives */
    double seconds; /* of this process, from the call to the end */
};

/* Collective over MPI_COMM_WORLD. All ranks get outcome, nodes, failed and first. */
void stage_run(struct nodes *nodes, struct cleanup_helper *helper, const struct stage_options *o,
               struct stage_result *result);

/* From a signal handler: this node gives up. */
void stage_interrupt(int signal);

/* The signal that stage_interrupt was called with, or 0. */
int stage_interrupted(void);

#endif
