/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * handon.h - makes a launcher hand the environment variables of fastimport on to its ranks.
 *
 * By default srun, and the mpiexec of MPICH, Intel MPI and PALS, hand everything on. Their options
 * can forbid it; then the variables are added to what these options say. (In Open MPI's mpiexec the
 * library does it, see process/launcher_args.h.)
 *
 * Thread rules: one thread.
 */
#ifndef FASTIMPORT_COMMAND_HANDON_H
#define FASTIMPORT_COMMAND_HANDON_H

/* Returns the words with which the launcher words[0] hands on LD_PRELOAD and all FASTIMPORT
 * variables of this process: `words` itself, of which some may have been replaced, or a longer
 * array. May change the environment (SLURM_EXPORT_ENV). Nothing of it is ever freed. NULL: no
 * memory. */
char **handon_words(char **words);

#endif
