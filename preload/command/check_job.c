/* SPDX-License-Identifier: BSD-3-Clause */
/* check_job.c - does a small job start, and is it served? See check.h */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/capture.h"
#include "command/check.h"
#include "command/handon.h"
#include "command/place.h"

enum { LIBRARY_SECONDS = 60, JOB_SECONDS = 120, JOB_OUTPUT = 1 << 18, MOST_WORDS = 256 };

/* Each rank says on which node it is, whether the library is in it, and how many ranks its mpi4py
 * knows of (0: it was not asked, or there is no mpi4py). */
static char probe[] =
    "import os, sys\n"
    "there = 'libfastimport.so' in open('/proc/self/maps').read()\n"
    "try:\n"
    "    if sys.argv[1] == 'library': raise ImportError\n"
    "    from mpi4py import MPI\n"
    "    size = MPI.COMM_WORLD.size\n"
    "except Exception:\n"
    "    size = 0\n"
    "sys.stdout.write('\\nfastimport-check %s %d %d\\n' % (os.uname()[1], there, size))\n"
    "sys.stdout.flush()\n";

struct job_facts {
    int ranks;         /* that have told something */
    int without;       /* of these, those without the library */
    char where[65];    /* the first node of these */
    int alone;         /* ranks whose MPI has one rank only */
    char active[512];  /* what the library says: that it is active; "": it does not */
    char message[512]; /* its first other message */
    char last[256];    /* the last line of anybody else */
};

static void copy_line(char *out, size_t size, const char *line)
{
    snprintf(out, size, "%.*s", (int)strcspn(line, "\n"), line);
}

/* The message behind "fastimport: rank N: level: "; NULL: the line is none of the library. */
static const char *message_in(const char *line)
{
    const char *text = strncmp(line, "fastimport: ", 12) == 0 ? line + 12 : NULL;

    if (text != NULL && strncmp(text, "rank ", 5) == 0) {
        text = strstr(text, ": ");
        text = text == NULL ? NULL : text + 2;
    }
    return text;
}

/* Launchers draw rulers around their messages. */
static bool has_word(const char *line)
{
    size_t n = strcspn(line, "\n");

    for (size_t i = 0; i < n; i++) {
        if (isalpha((unsigned char)line[i])) {
            return true;
        }
    }
    return false;
}

static void take_line(struct job_facts *f, const char *line)
{
    const char *message = message_in(line);
    char node[65];
    int there;
    int size;

    if (sscanf(line, "fastimport-check %64s %d %d", node, &there, &size) == 3) {
        f->ranks++;
        f->alone += size == 1;
        if (!there && f->without++ == 0) {
            memcpy(f->where, node, sizeof node);
        }
    } else if (message != NULL && strncmp(message, "info: active: ", 14) == 0) {
        copy_line(f->active, sizeof f->active, message + 14);
    } else if (message != NULL && f->message[0] == '\0') {
        copy_line(f->message, sizeof f->message, message);
    } else if (message == NULL && has_word(line)) {
        copy_line(f->last, sizeof f->last, line);
    }
}

static void take_output(struct job_facts *f, char *out)
{
    for (char *line = out; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');

        take_line(f, line);
        line = end == NULL ? NULL : end + 1;
    }
}

/* The launcher's words, two ranks if they say no number, and the probe. */
static void make_words(const struct check *c, const char *what, char *words[MOST_WORDS + 8])
{
    int n = 0;

    while (n < MOST_WORDS && c->launcher[n] != NULL) {
        words[n] = c->launcher[n];
        n++;
    }
    if (n == 1) {
        words[n++] = (char *)"-n";
        words[n++] = (char *)"2";
    }
    words[n++] = (char *)c->program;
    words[n++] = (char *)"-c";
    words[n++] = probe;
    words[n++] = (char *)what;
    words[n] = NULL;
}

static void set_variables(const struct check *c)
{
    setenv("LD_PRELOAD", c->library, 1);
    setenv("FASTIMPORT_FS", "all", 1); /* the job is served, wherever the environment is */
    setenv("FASTIMPORT_LOG", "info", 1);
    setenv("FASTIMPORT_PLAN", "off", 1);
    setenv("FASTIMPORT_JOIN_MS", "30000", 1);
    unsetenv("FASTIMPORT_LOG_FILE");
    unsetenv("FASTIMPORT_REPORT");
}

/* Is the library in all ranks? True: all is well. */
static bool say_where_it_is(struct check *c, const struct job_facts *f, int status)
{
    if (f->ranks == 0) {
        check_say(c, FINDING_WRONG, "job", "%s started no rank (exit status %d): %s",
                  c->launcher[0], status,
                  f->message[0] != '\0' ? f->message
                  : f->last[0] != '\0'  ? f->last
                                        : "it has said nothing");
    } else if (f->without > 0) {
        check_say(
            c, FINDING_WRONG, "job",
            "%d of %d ranks run without the library, such as on node %s: install it where all "
            "nodes see it, and let the launcher hand LD_PRELOAD on (%s)",
            f->without, f->ranks, f->where, c->library);
    }
    return f->ranks > 0 && f->without == 0;
}

static void say_job(struct check *c, const struct job_facts *f, int status)
{
    if (status == -1) {
        check_say(c, FINDING_WRONG, "job",
                  "%s did not end within %d s: try it without fastimport (%s)", c->launcher[0],
                  JOB_SECONDS, f->message);
    } else if (f->ranks > 1 && f->alone == f->ranks) {
        check_say(c, FINDING_WRONG, "job",
                  "each of the %d ranks is alone: %s belongs to another MPI than the Python's "
                  "mpi4py: use the launcher of that MPI",
                  f->ranks, c->launcher[0]);
    } else if (f->active[0] == '\0') {
        check_say(c, FINDING_WRONG, "job", "it ran, but was not served: %s",
                  f->message[0] == '\0' ? "no message says why" : f->message);
    } else if (status != 0) {
        check_say(c, FINDING_WRONG, "job", "it was served, and ended with status %d: %s", status,
                  f->last);
    } else {
        check_say(c, FINDING_OK, "job", "served: %s", f->active);
    }
}

/* Starts a job, and takes what it prints. Returns its exit status (capture.h). */
static int run_job(const struct check *c, const char *what, int seconds, char *out,
                   struct job_facts *facts)
{
    char *words[MOST_WORDS + 8];
    char **all;
    int status;

    make_words(c, what, words);
    all = handon_words(words);
    status = all == NULL ? -2 : capture_program(all, seconds, out, JOB_OUTPUT);
    *facts = (struct job_facts){0};
    take_output(facts, out);
    return status;
}

void check_job(struct check *c)
{
    struct job_facts facts;
    char *out;
    int status;

    if (c->launcher == NULL) {
        check_say(c, FINDING_NOTE, "job", "not tried: fastimport check -- srun -n 2");
        return;
    }
    out = calloc(1, JOB_OUTPUT);
    if (c->library[0] == '\0' || c->program[0] == '\0' || out == NULL) {
        check_say(c, FINDING_NOTE, "job", "not tried, because of what is said above");
        free(out);
        return;
    }
    set_variables(c);
    /* First without MPI: where the library misses some ranks, the job would wait for them. */
    setenv("FASTIMPORT", "0", 1);
    status = run_job(c, "library", LIBRARY_SECONDS, out, &facts);
    unsetenv("FASTIMPORT");
    if (say_where_it_is(c, &facts, status)) {
        status = run_job(c, "job", JOB_SECONDS, out, &facts);
        say_job(c, &facts, status);
    }
    free(out);
}
