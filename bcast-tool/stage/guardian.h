/* A small process that outlives its leader for as long as it takes to remove the leader's partial
 * copy.
 *
 * MPI launchers kill all ranks of a job when one dies; nobody is left to clean up then. The
 * guardian is forked before MPI starts, in a session of its own, and waits on a pipe. If the pipe
 * closes before guardian_dismiss, the leader is dead.
 */
#ifndef BCAST_STAGE_GUARDIAN_H
#define BCAST_STAGE_GUARDIAN_H

struct guardian {
    int pipe; /* -1: none */
};

/* Before MPI_Init and before any thread. Failure leaves no guardian, which is allowed. */
void guardian_start(struct guardian *g);

/* What to remove: `partial`, DIR's partial copy in `parent`. `base`: DIR's own name there. `speak`:
 * say so on stderr. */
void guardian_watch(struct guardian *g, const char *parent, const char *base, const char *partial,
                    int speak);

/* All is well, or cleaned up by the leader itself. */
void guardian_dismiss(struct guardian *g);

#endif
