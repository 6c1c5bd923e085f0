/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.h - the FASTIMPORT* environment variables, read once in the constructor from one table.
 *
 * A value that cannot be parsed is named in one warning, with what is used instead. Strings point
 * into copies that live as long as the process. After config_load() the struct is read-only and may
 * be read by any thread.
 */
#ifndef FASTIMPORT_PROCESS_CONFIG_H
#define FASTIMPORT_PROCESS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

enum fi_fs { FI_FS_NETWORK, FI_FS_ALL };
enum fi_join { FI_AT_INIT, FI_AT_START };

struct fi_config {
    bool enabled;         /* FASTIMPORT=0|1 */
    const char *path;     /* FASTIMPORT_PATH: further roots, colon separated */
    const char *exclude;  /* FASTIMPORT_EXCLUDE: prefixes never served */
    enum fi_fs fs;        /* FASTIMPORT_FS=net|all */
    const char *dir;      /* FASTIMPORT_DIR: where node caches live */
    uint64_t max_file;    /* FASTIMPORT_MAX_FILE: bytes, with k, M, G */
    const char *mpi;      /* FASTIMPORT_MPI: the MPI library's file name */
    uint64_t wait_ms;     /* FASTIMPORT_WAIT_MS: silence after which a rank makes the real call */
    uint64_t join_ms;     /* FASTIMPORT_JOIN_MS: how long start-up waits for the other ranks */
    enum fi_join join;    /* FASTIMPORT_BELOW_SHELL=init|start: when to join there */
    uint64_t idle_ms;     /* FASTIMPORT_IDLE_MS: quiet time after which the service ends */
    const char *plan;     /* FASTIMPORT_PLAN: off, FILE, record:FILE, use:FILE */
    const char *report;   /* FASTIMPORT_REPORT: stderr or FILE */
    enum log_level log;   /* FASTIMPORT_LOG=error|warn|info|debug */
    const char *log_file; /* FASTIMPORT_LOG_FILE, with %h %r %p */
};

/* Parses the environment. `warn` receives each complaint as a finished sentence; NULL: be silent.
 */
void config_load(struct fi_config *config, void (*warn)(const char *sentence));

/* Names, in one sentence, the variables of `environment` that look like ours and are none, such as
 * misspelt ones. */
void config_name_unknown(char *const environment[], void (*warn)(const char *sentence));

/* Fills in %h (host), %r (rank) and %p (process id); "%%" is a percent sign. False if it does not
 * fit. */
bool config_expand(const char *pattern, int rank, char *out, unsigned long size);

#endif
