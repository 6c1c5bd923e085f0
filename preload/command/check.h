/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check.h - fastimport check: what it looks at, and how it says what it has found: one line for each
 * topic, with the remedy where something is wrong.
 *
 * Calling order: as in check.c; check_environment() before check_mpi(), which needs the prefix.
 * Thread rules: one thread.
 */
#ifndef FASTIMPORT_COMMAND_CHECK_H
#define FASTIMPORT_COMMAND_CHECK_H

#include <stdbool.h>

#include "base/path.h"
#include "process/config.h"

struct check {
    const char *python; /* the interpreter's name or path; NULL: python3 or python in PATH */
    char **launcher;    /* the launcher's words; NULL: no job is started */
    struct fi_config config;
    char library[FI_PATH_MAX]; /* "": it was not found */
    char program[FI_PATH_MAX]; /* the interpreter; "": it was not found */
    char prefix[FI_PATH_MAX];  /* of the interpreter; "": not known */
    int n_wrong;
};

/* NOTE: to be known; WRONG: fastimport will not work, or not help. */
enum finding { FINDING_OK, FINDING_NOTE, FINDING_WRONG };

/* Prints the line, and counts what is wrong. */
void check_say(struct check *check, enum finding finding, const char *topic, const char *format,
               ...) __attribute__((format(printf, 4, 5)));

void check_library(struct check *check);     /* library, companion, versions */
void check_variables(struct check *check);   /* FASTIMPORT_*, LD_PRELOAD; loads check->config */
void check_environment(struct check *check); /* on which file system; the interpreter */
void check_mpi(struct check *check);         /* which one will be bound, and why */
void check_cache(struct check *check);       /* FASTIMPORT_DIR, and whether memory is enough */
void check_plan(struct check *check);        /* can the plan be written? */
void check_job(struct check *check);         /* does a small job start, and is it served? */

#endif
