/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cleanup_helper.h - a small process that removes the partial copy of its leader if the leader is
 * killed.
 *
 * When one rank dies, the launcher kills all ranks of the job, and nobody is left to clean up. The
 * helper is forked before MPI starts, has a session of its own, and waits on a pipe. If the pipe
 * closes before cleanup_helper_dismiss(), the leader is dead.
 */
#ifndef BCAST_STAGE_CLEANUP_HELPER_H
#define BCAST_STAGE_CLEANUP_HELPER_H

struct cleanup_helper {
    int pipe; /* -1: there is no helper */
};

/* Call it before MPI_Init() and before any thread starts. If it fails there is no helper, which is
 * no error. */
void cleanup_helper_start(struct cleanup_helper *g);

/* Tells the helper what to remove: `partial`, the partial copy of DIR, in `parent`. `base` is DIR's
 * own name there. `speak`: it says on stderr that it removes it. */
void cleanup_helper_watch(struct cleanup_helper *g, const char *parent, const char *base,
                          const char *partial, int speak);

/* The job has ended, or has cleaned up itself. */
void cleanup_helper_dismiss(struct cleanup_helper *g);

#endif
