/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launcher_args.h - Open MPI's launcher hands LD_PRELOAD and our variables on to other nodes.
 *
 * By itself it gives ranks of other nodes only its own variables: with LD_PRELOAD exported in the
 * job script the ranks of the first node would have fastimport, and those of other nodes not, and
 * the job could hang. Where mpiexec runs under the preload, "-x LD_PRELOAD" and "-x NAME" for each
 * FASTIMPORT_NAME are put in front of its arguments (mpirun(1)). They are not where the arguments name
 * LD_PRELOAD already, or mca_base_env_list, which excludes -x.
 *
 * Calling order: launcher_args_want() in the constructor, launcher_args_apply() before main.
 */
#ifndef FASTIMPORT_PROCESS_LAUNCHER_ARGS_H
#define FASTIMPORT_PROCESS_LAUNCHER_ARGS_H

/* This process is a launcher. */
void launcher_args_want(void);

/* Gives main() other arguments, if this is Open MPI's launcher; else leaves them alone. */
void launcher_args_apply(int *argc, char ***argv);

/* The same for any launcher and environment: NULL: they stay as they are; else a list to be freed,
 * of *n words. */
char **launcher_args_make(int argc, char *const argv[], char *const environment[], int *n);

#endif
