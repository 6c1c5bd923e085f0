/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.h - the FASTIMPORT* environment variables, read once in the constructor from one table.
 *
 * A value that cannot be parsed is named in a warning, with the value that is used instead. Strings
 * point to copies that live as long as the process.
 *
 * Thread rules: config_start() in the constructor; afterwards any thread may read the struct, which
 * does not change.
 */
#ifndef FASTIMPORT_PROCESS_CONFIG_H
#define FASTIMPORT_PROCESS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

enum fi_fs { FI_FS_NETWORK, FI_FS_ALL };
enum fi_join { FI_AT_INIT, FI_AT_START };

struct fi_config {
    bool enabled;        /* FASTIMPORT=0|1 */
    const char *path;    /* FASTIMPORT_PATH: more roots, separated by colons */
    const char *exclude; /* FASTIMPORT_EXCLUDE: directories that are never served, the same way */
    enum fi_fs fs;       /* FASTIMPORT_FS=net|all */
    const char *dir;     /* FASTIMPORT_DIR: the directory of node caches */
    uint64_t max_file;   /* FASTIMPORT_MAX_FILE: bytes, with k, M, G */
    const char *mpi;     /* FASTIMPORT_MPI: the MPI library's file name */
    uint64_t wait_ms; /* FASTIMPORT_WAIT_MS: after so long a silence a rank makes the real call */
    uint64_t join_ms; /* FASTIMPORT_JOIN_MS: how long start-up waits for the other ranks */
    /* FASTIMPORT_BELOW_SHELL=init|start: when a rank that a shell has started joins */
    enum fi_join join;
    /* FASTIMPORT_IDLE_MS: after so much quiet the service wakes up less often and gives memory back */
    uint64_t idle_ms;
    double dilate;        /* FASTIMPORT_DILATE: all our waits are longer by it (base/dilation.h) */
    const char *plan;     /* FASTIMPORT_PLAN: off, FILE, record:FILE, use:FILE */
    const char *report;   /* FASTIMPORT_REPORT: stderr or FILE */
    enum log_level log;   /* FASTIMPORT_LOG=error|warn|info|debug */
    const char *log_file; /* FASTIMPORT_LOG_FILE, with %h %r %p */
};

/* Fills in *config from the environment. warn: gets each complaint as a finished sentence; NULL:
 * nobody is told. */
void config_load(struct fi_config *config, void (*warn)(const char *sentence));

/* Names, in one sentence, the variables of `environment` that look like fastimport's but do not
 * exist, such as misspelt ones. */
void config_name_unknown(char *const environment[], void (*warn)(const char *sentence));

/* Replaces %h by the host's name, %r by the rank, %p by the process id and %% by a percent sign.
 * False if the result does not fit into `size` bytes. */
bool config_expand(const char *pattern, int rank, char *out, unsigned long size);

/* Once, in the constructor: loads the configuration and opens the log. complains: warns about the
 * environment, which is the same in all ranks of a job, so that one of them is enough. */
void config_start(struct fi_config *config, int rank, bool complains);

#endif
