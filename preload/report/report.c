/* SPDX-License-Identifier: BSD-3-Clause */
/* report.c - see report.h */
#include "report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/version.h"
#include "process/job_id.h"
#include "report/answers.h"

/* so many are named in the text for people; the JSON report names all */
enum { TEXT_LIBRARIES = 20 };

struct spread {
    double min, median, max;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static struct spread spread_of(const struct fi_counters *ranks, size_t n, size_t offset,
                               double unit)
{
    double *values = calloc(n, sizeof *values);
    struct spread s = {0};

    if (values == NULL || n == 0) {
        free(values);
        return s;
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = (double)*(const uint64_t *)((const char *)&ranks[i] + offset) / unit;
    }
    qsort(values, n, sizeof *values, by_value);
    s = (struct spread){values[0], n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2,
                        values[n - 1]};
    free(values);
    return s;
}

static uint64_t sum_of(const struct fi_counters *ranks, size_t n, size_t offset)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += *(const uint64_t *)((const char *)&ranks[i] + offset);
    }
    return sum;
}

#define SUM(field)    sum_of(ranks, n, offsetof(struct fi_counters, field))
#define SPREAD(field) spread_of(ranks, n, offsetof(struct fi_counters, field), 1e9)

/* The scalars of the report, one row each: JSON name, label for people, counter. */
struct scalar {
    const char *name;
    const char *label;
    size_t offset;
};

static const struct scalar scalars[] = {
    {"lookups", "look-ups made on the real file system", offsetof(struct fi_counters, lookups)},
    {"files_read", "files read", offsetof(struct fi_counters, files_read)},
    {"bytes_read", "bytes read", offsetof(struct fi_counters, bytes_read)},
    {"files_not_kept", "files without room in a node's memory",
     offsetof(struct fi_counters, files_not_kept)},
    {"bytes_not_kept", "bytes of them", offsetof(struct fi_counters, bytes_not_kept)},
    {"files_given_back", "files given back after the start",
     offsetof(struct fi_counters, files_given_back)},
    {"bytes_given_back", "bytes of them", offsetof(struct fi_counters, bytes_given_back)},
    {"requests", "requests sent to the root", offsetof(struct fi_counters, requests)},
    {"requests_seen", "requests that reached the root",
     offsetof(struct fi_counters, requests_seen)},
    {"bytes_broadcast", "bytes broadcast", offsetof(struct fi_counters, bytes_broadcast)},
    {"blocks_broadcast", "broadcasts", offsetof(struct fi_counters, blocks_broadcast)},
};

static const struct scalar times[] = {
    {"init_seconds", "start of the service", offsetof(struct fi_counters, init_ns)},
    {"waiting_seconds", "waiting for answers", offsetof(struct fi_counters, waiting_ns)},
    {"fs_seconds", "in the real file system", offsetof(struct fi_counters, fs_ns)},
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* What the first byte says of the length; 0: no sequence begins with it. */
static size_t utf8_announced_length(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc0 || first >= 0xf8) {
        return 0;
    }
    if (first < 0xe0) {
        return 2;
    }
    return first < 0xf0 ? 3 : 4;
}

/* The length of the UTF-8 sequence (RFC 3629) that `text` begins with; 0: it begins with none. */
static size_t utf8_length(const unsigned char *text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = utf8_announced_length(text[0]);
    uint32_t value = n < 2 ? text[0] : text[0] & (0x7fU >> n);

    for (size_t i = 1; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80) { /* the NUL at the end, too */
            return 0;
        }
        value = value << 6 | (text[i] & 0x3f);
    }
    return value < least[n] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ? 0 : n;
}

static void report_put_string(FILE *f, const char *string)
{
    const unsigned char *text = (const unsigned char *)string;

    fputc('"', f);
    while (*text != '\0') {
        size_t n = utf8_length(text);

        if (n == 0) {
            fprintf(f, "\\udc%02x", *text);
            n = 1;
        } else if (*text == '"' || *text == '\\') {
            fprintf(f, "\\%c", *text);
        } else if (*text < 0x20 || *text == 0x7f) {
            fprintf(f, "\\u%04x", *text);
        } else {
            fwrite(text, 1, n, f);
        }
        text += n;
    }
    fputc('"', f);
}

static void json_calls(FILE *f, const struct fi_counters *ranks, size_t n)
{
    fprintf(f, "  \"calls\": {");
    for (int i = 0; i < CALL_FAMILIES; i++) {
        fprintf(f, "%s\n    \"%s\": {\"intercepted\": %" PRIu64 ", \"served\": %" PRIu64 "}",
                i == 0 ? "" : ",", call_family_names[i], SUM(intercepted[i]), SUM(served[i]));
    }
    fprintf(f, "\n  },\n  \"fallbacks\": {");
    for (int i = 0; i < FALLBACK_REASONS; i++) {
        fprintf(f, "%s\"%s\": %" PRIu64, i == 0 ? "" : ", ", fallback_names[i], SUM(fallbacks[i]));
    }
    fprintf(f, "},\n");
}

static void json_roots(FILE *f, const char *roots)
{
    char line[FI_PATH_MAX + 2]; /* a scope and a path */

    fprintf(f, "  \"roots\": [");
    for (const char *sep = ""; *roots != '\0'; sep = ", ") {
        size_t length = strcspn(roots, "\n");

        snprintf(line, sizeof line, "%.*s", (int)length, roots);
        fputs(sep, f);
        report_put_string(f, line);
        roots += length + (roots[length] != '\0');
    }
    fprintf(f, "],\n");
}

static double megabytes_per_second(const struct report_plan *p)
{
    return p->bulk_seconds > 0 ? (double)p->bulk_bytes / p->bulk_seconds / 1e6 : 0;
}

static void json_plan(FILE *f, const struct report_plan *p)
{
    fprintf(f, "  \"plan\": {\"file\": ");
    report_put_string(f, p->file);
    fprintf(f,
            ", \"entries\": %zu, \"used\": %zu, \"missed\": %zu, \"bulk_seconds\": %.6f, "
            "\"bulk_bytes\": %" PRIu64 ", \"bulk_mb_per_second\": %.1f},\n",
            p->entries, p->used, p->missed, p->bulk_seconds, p->bulk_bytes,
            megabytes_per_second(p));
}

static void json_unserved(FILE *f, const struct report_libraries *unserved)
{
    fprintf(f, "  \"left_to_ld_so\": [");
    for (size_t i = 0; i < unserved->n; i++) {
        const struct report_library *l = &unserved->items[i];

        fprintf(f, "%s\n    {\"path\": ", i == 0 ? "" : ",");
        report_put_string(f, l->path);
        fprintf(f, ", \"why\": ");
        report_put_string(f, l->why);
        fprintf(f, ", \"nodes\": %u}", l->nodes);
    }
    fprintf(f, "],\n  \"left_to_ld_so_unnamed\": %" PRIu64 ",\n", unserved->omitted);
}

static void write_json(FILE *f, const struct report_facts *facts, const struct fi_counters *ranks,
                       size_t n)
{
    struct report_answers answers = answers_make(facts, ranks, n);

    fprintf(f, "{\n  \"format\": 1,\n  \"version\": ");
    report_put_string(f, version_number());
    fprintf(f, ",\n  \"job\": ");
    report_put_string(f, facts->job_id);
    fprintf(f, ",\n  \"active\": %s,\n  \"why\": ", facts->why == NULL ? "true" : "false");
    if (facts->why == NULL) {
        fprintf(f, "null");
    } else {
        report_put_string(f, facts->why);
    }
    fprintf(f,
            ",\n  \"ranks\": %d,\n  \"nodes\": %d,\n  \"root\": %d,\n  "
            "\"ranks_reporting\": %zu,\n",
            facts->ranks, facts->nodes, facts->root, n);
    fprintf(f, "  \"mpi\": ");
    report_put_string(f, facts->mpi_library);
    fprintf(f, ",\n");
    answers_write_json(f, &answers);
    json_roots(f, facts->roots);
    json_calls(f, ranks, n);
    json_unserved(f, facts->unserved);
    json_plan(f, &facts->plan);
    for (size_t i = 0; i < COUNT(scalars); i++) {
        fprintf(f, "  \"%s\": %" PRIu64 ",\n", scalars[i].name,
                sum_of(ranks, n, scalars[i].offset));
    }
    fprintf(f, "  \"node_cache_bytes\": %" PRIu64 ",\n  \"index_bytes\": %" PRIu64 ",\n",
            facts->cache_bytes, facts->index_bytes);
    for (size_t i = 0; i < COUNT(times); i++) {
        struct spread s = spread_of(ranks, n, times[i].offset, 1e9);

        fprintf(f, "  \"%s\": {\"min\": %.6f, \"median\": %.6f, \"max\": %.6f}%s\n", times[i].name,
                s.min, s.median, s.max, i + 1 < COUNT(times) ? "," : "");
    }
    fprintf(f, "}\n");
}

static void text_unserved(FILE *f, const struct report_libraries *unserved)
{
    size_t n = unserved->n < TEXT_LIBRARIES ? unserved->n : TEXT_LIBRARIES;

    for (size_t i = 0; i < n; i++) {
        const struct report_library *l = &unserved->items[i];

        fprintf(f, "  left to ld.so on %u node%s: %s (%s)\n", l->nodes, l->nodes == 1 ? "" : "s",
                l->path, l->why);
    }
    if (unserved->n - n + unserved->omitted > 0) {
        fprintf(f, "  left to ld.so: %" PRIu64 " more\n", unserved->n - n + unserved->omitted);
    }
}

static void report_write_text(FILE *f, const struct report_facts *facts,
                              const struct fi_counters *ranks, size_t n)
{
    struct report_answers answers = answers_make(facts, ranks, n);

    answers_write_text(f, facts, &answers);
    fprintf(f, "  %-10s %12s %12s\n", "calls", "intercepted", "served");
    for (int i = 0; i < CALL_FAMILIES; i++) {
        fprintf(f, "  %-10s %12" PRIu64 " %12" PRIu64 "\n", call_family_names[i],
                SUM(intercepted[i]), SUM(served[i]));
    }
    for (size_t i = 0; i < COUNT(scalars); i++) {
        fprintf(f, "  %-40s %14" PRIu64 "\n", scalars[i].label,
                sum_of(ranks, n, scalars[i].offset));
    }
    fprintf(f, "  %-40s %14" PRIu64 "\n", "bytes in one node cache",
            facts->cache_bytes + facts->index_bytes);
    if (facts->plan.file[0] != '\0') {
        fprintf(f,
                "  plan: %zu entries, %zu of them used, %zu more asked for; bulk %.3f s, %.1f MB/s "
                "(%s)\n",
                facts->plan.entries, facts->plan.used, facts->plan.missed, facts->plan.bulk_seconds,
                megabytes_per_second(&facts->plan), facts->plan.file);
    }
    for (int i = 0; i < FALLBACK_REASONS; i++) {
        if (SUM(fallbacks[i]) > 0) {
            fprintf(f, "  fell back to the real call: %-12s %14" PRIu64 "\n", fallback_names[i],
                    SUM(fallbacks[i]));
        }
    }
    text_unserved(f, facts->unserved);
    for (size_t i = 0; i < COUNT(times); i++) {
        struct spread s = spread_of(ranks, n, times[i].offset, 1e9);

        fprintf(f, "  seconds %-26s min %.3f  median %.3f  max %.3f\n", times[i].label, s.min,
                s.median, s.max);
    }
}

/* The names in it may have been chosen by somebody else. They must not control a terminal. */
static void report_make_printable(char *text)
{
    for (; text != NULL && *text != '\0'; text++) {
        if (((unsigned char)*text < 0x20 && strchr("\n\t", *text) == NULL) || *text == 0x7f) {
            *text = '?';
        }
    }
}

/* Returns the report as text, to be freed by the caller; NULL: no memory. */
static char *report_compose(const struct report_facts *facts, const struct fi_counters *ranks,
                            size_t n, bool for_people, size_t *size)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, size);
    bool whole;

    if (f == NULL) {
        return NULL;
    }
    if (!for_people) {
        write_json(f, facts, ranks, n);
    } else if (facts->why != NULL) {
        fprintf(f, "fastimport %s was not active%s%s: nothing was served: %s\n", version_number(),
                facts->job_id[0] == '\0' ? "" : " in job ", facts->job_id, facts->why);
    } else {
        report_write_text(f, facts, ranks, n);
    }
    whole = ferror(f) == 0;
    if (fclose(f) == 0 && whole) {
        if (for_people) {
            report_make_printable(text);
        }
        return text;
    }
    free(text);
    return NULL;
}

void report_write(const char *where, const struct report_facts *facts,
                  const struct fi_counters *ranks, size_t n)
{
    bool for_people = strcmp(where, "stderr") == 0;
    size_t size = 0;
    char *text = report_compose(facts, ranks, n, for_people, &size);
    int error =
        text == NULL ? -ENOMEM : file_put(for_people ? "/dev/stderr" : where, text, size, 0644);

    if (error != 0 && !for_people) {
        fi_log(LOG_WARN, "FASTIMPORT_REPORT: cannot write %s: %s", where, strerror(-error));
    }
    free(text);
}

void report_write_idle(const char *where, const char *why)
{
    static atomic_flag is_written = ATOMIC_FLAG_INIT;
    static const struct report_libraries none;
    char job[128];
    struct report_facts facts = {.why = why,
                                 .job_id = job,
                                 .mpi_library = "",
                                 .roots = "",
                                 .plan = {.file = ""},
                                 .unserved = &none};

    job_id_read(job, sizeof job);
    if (where != NULL && !atomic_flag_test_and_set(&is_written)) {
        report_write(where, &facts, NULL, 0);
    }
}
