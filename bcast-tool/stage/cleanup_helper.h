/* A small process that outlives its leader for as long as it takes to remove the leader's partial
 * copy.
 *
 * MPI launchers kill all ranks of a job when one dies; nobody is left to clean up then. The
 * guardian is forked before MPI starts, in a session of its own, and waits on a pipe. If the pipe
 * closes before cleanup_helper_dismiss, the leader is dead.
 */
#ifndef BCAST_STAGE_CLEANUP_HELPER_H
#define BCAST_STAGE_CLEANUP_HELPER_H

struct cleanup_helper {
    int pipe; /* -1: none */
};

/* Before MPI_Init and before any thread. Failure leaves no helper, which is allowed. */
void cleanup_helper_start(struct cleanup_helper *g);

/* What to remove: `partial`, DIR's partial copy in `parent`. `base`: DIR's own name there. `speak`:
 * say so on stderr. */
void cleanup_helper_watch(struct cleanup_helper *g, const char *parent, const char *base,
                          const char *partial, int speak);

/* All is well, or cleaned up by the leader itself. */
void cleanup_helper_dismiss(struct cleanup_helper *g);

#endif
