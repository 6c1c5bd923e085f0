/* SPDX-License-Identifier: BSD-3-Clause */
/* answers.c - see answers.h */
#include "report/answers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/version.h"

static double answers_seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* The calls of one rank on paths of ours that were made on the file system after all. */
static uint64_t calls_not_served(const struct fi_counters *c)
{
    uint64_t n = 0;

    for (int i = 0; i < CALL_FAMILIES; i++) {
        n += c->intercepted[i] > c->served[i] ? c->intercepted[i] - c->served[i] : 0;
    }
    return n;
}

static uint64_t calls_intercepted(const struct fi_counters *c)
{
    uint64_t n = 0;

    for (int i = 0; i < CALL_FAMILIES; i++) {
        n += c->intercepted[i];
    }
    return n;
}

struct report_answers answers_make(const struct report_facts *facts,
                                   const struct fi_counters *ranks, size_t n)
{
    struct report_answers a = {.startup = facts->startup_seconds, .bulk = facts->plan.bulk_seconds};

    for (size_t i = 0; i < n; i++) {
        const struct fi_counters *c = &ranks[i];

        a.operations.with += c->lookups + calls_not_served(c);
        a.operations.without += calls_intercepted(c);
        a.bytes.with += c->bytes_read;
        a.join = larger(a.join, answers_seconds(c->init_ns));
        a.waiting = larger(a.waiting, answers_seconds(c->waiting_ns));
        a.file_system = larger(a.file_system, answers_seconds(c->fs_ns));
    }
    a.bytes.without = a.bytes.with * (uint64_t)(facts->nodes > 0 ? facts->nodes : 1);
    return a;
}

double answers_factor(const struct answers_against *against)
{
    return against->with == 0 ? 0 : (double)against->without / (double)against->with;
}

/* "(512 x less)"; nothing where there is no factor, or where it would be no gain. */
static void put_factor(FILE *f, const struct answers_against *against)
{
    double factor = answers_factor(against);

    if (factor >= 10) {
        fprintf(f, " (%.0f x less)", factor);
    } else if (factor > 1.05) {
        fprintf(f, " (%.1f x less)", factor);
    }
}

/* The table of roots as one line, without the letters of the scopes. */
static void put_roots(FILE *f, const char *roots)
{
    const char *separator = "";

    while (*roots != '\0') {
        int n = (int)strcspn(roots, "\n");

        fprintf(f, "%s%s%.*s", separator, *roots == 'X' ? "not " : "", n - 1, roots + 1);
        separator = ", ";
        roots += n + (roots[n] != '\0');
    }
}

void answers_write_text(FILE *f, const struct report_facts *facts, const struct report_answers *a)
{
    fprintf(f, "fastimport %s was active%s%s: %d rank%s on %d node%s, root %d (%s)\n",
            version_number(), facts->job_id[0] == '\0' ? "" : " in job ", facts->job_id,
            facts->ranks, facts->ranks == 1 ? "" : "s", facts->nodes, facts->nodes == 1 ? "" : "s",
            facts->root, facts->mpi_library);
    fprintf(f, "  served: ");
    put_roots(f, facts->roots);
    fprintf(f, "\n  file system: %" PRIu64 " operations, not %" PRIu64, a->operations.with,
            a->operations.without);
    put_factor(f, &a->operations);
    fprintf(f, ", %.1f MB read, not %.1f", (double)a->bytes.with / 1e6,
            (double)a->bytes.without / 1e6);
    put_factor(f, &a->bytes);
    fprintf(f,
            "\n  start: %.2f s until nothing new was asked for; of these: all ranks met in %.2f, "
            "plan %.2f,\n         waiting for answers %.2f, in the file system %.2f (each the "
            "longest of all ranks)\n",
            a->startup, a->join, a->bulk, a->waiting, a->file_system);
}

static void json_against(FILE *f, const char *name, const struct answers_against *a)
{
    fprintf(f, "    \"%s\": {\"with\": %" PRIu64 ", \"without\": %" PRIu64 ", \"factor\": ", name,
            a->with, a->without);
    if (a->with == 0) {
        fprintf(f, "null},\n");
    } else {
        fprintf(f, "%.2f},\n", answers_factor(a));
    }
}

void answers_write_json(FILE *f, const struct report_answers *a)
{
    fprintf(f, "  \"answers\": {\n");
    json_against(f, "operations", &a->operations);
    json_against(f, "bytes", &a->bytes);
    fprintf(f,
            "    \"start\": {\"seconds\": %.6f, \"join\": %.6f, \"bulk\": %.6f, \"waiting\": %.6f, "
            "\"file_system\": %.6f}\n  },\n",
            a->startup, a->join, a->bulk, a->waiting, a->file_system);
}
