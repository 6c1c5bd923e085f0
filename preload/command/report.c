/* SPDX-License-Identifier: BSD-3-Clause */
/* report.c - fastimport report: prints reports of jobs side by side. Their format is described in
 * report/FORMAT.md. */
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/command.h"

enum { REPORT_FORMAT = 1, COLUMN = 16, MOST_REPORTS = 64 };

struct report_settings {
    char **files;
};

static error_t parse_report(int key, char *value, struct argp_state *state)
{
    struct report_settings *s = state->input;

    (void)value;
    if (key == ARGP_KEY_ARG) {
        s->files = command_take_rest(state);
    } else if (key == ARGP_KEY_NO_ARGS) {
        argp_error(state, "a file is missing: FASTIMPORT_REPORT=FILE makes a job write one");
    } else {
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* --- cells --- */

/* How a value is written: as it is, in units of 1e6, in seconds. */
enum unit { PLAIN, MEGA, SECONDS };

/* The rows of the table. path: members, with a dot between them; without it a heading. */
static const struct row {
    const char *label;
    const char *path;
    enum unit unit;
} rows[] = {
    {"version", "version", PLAIN},
    {"job", "job", PLAIN},
    {"MPI", "mpi", PLAIN},
    {"ranks", "ranks", PLAIN},
    {"nodes", "nodes", PLAIN},
    {"what the file system saw", NULL, PLAIN},
    {"  operations", "answers.operations.with", PLAIN},
    {"  without fastimport", "answers.operations.without", PLAIN},
    {"  so many times less", "answers.operations.factor", PLAIN},
    {"  MB read", "answers.bytes.with", MEGA},
    {"  without fastimport", "answers.bytes.without", MEGA},
    {"  so many times less", "answers.bytes.factor", PLAIN},
    {"how long the start took, in s", "answers.start.seconds", SECONDS},
    {"  all ranks met", "answers.start.join", SECONDS},
    {"  plan", "answers.start.bulk", SECONDS},
    {"  waiting for answers", "answers.start.waiting", SECONDS},
    {"  in the file system", "answers.start.file_system", SECONDS},
    {"the plan", NULL, PLAIN},
    {"  names in it", "plan.entries", PLAIN},
    {"  of these used", "plan.used", PLAIN},
    {"  missing in it", "plan.missed", PLAIN},
    {"memory of a node, in MB", "node_cache_bytes", MEGA},
};

static const json_t *find_member(const json_t *report, const char *path)
{
    char name[64];

    while (report != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");

        snprintf(name, sizeof name, "%.*s", (int)n, path);
        report = json_object_get(report, name);
        path += n + (path[n] != '\0');
    }
    return report;
}

static void format_cell(const json_t *value, enum unit unit, char *out, size_t size)
{
    if (json_is_string(value)) {
        snprintf(out, size, "%s",
                 json_string_value(value)[0] == '\0' ? "-" : json_string_value(value));
    } else if (json_is_integer(value) && unit == PLAIN) {
        snprintf(out, size, "%lld", (long long)json_integer_value(value));
    } else if (json_is_number(value)) {
        double number = json_number_value(value);

        snprintf(out, size, unit == SECONDS ? "%.2f" : "%.1f",
                 unit == MEGA ? number / 1e6 : number);
    } else {
        snprintf(out, size, "-");
    }
}

/* Text of a report may be another user's. It must not control a terminal. */
static void put_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
    }
}

/* One column may be wide. Of several, each shows the end of what is too long, as names of reports
 * and versions differ there. */
static void put_cell(const char *text, bool only)
{
    size_t n = strlen(text);

    printf("  %*s", only || n >= COLUMN ? 0 : COLUMN - (int)n, "");
    put_printable(only || n <= COLUMN ? text : text + n - COLUMN);
}

static void print_row(const struct row *row, json_t *const *reports, int n)
{
    char cell[256];

    printf("%-30s", row->label);
    for (int i = 0; row->path != NULL && i < n; i++) {
        format_cell(find_member(reports[i], row->path), row->unit, cell, sizeof cell);
        put_cell(cell, n == 1);
    }
    putchar('\n');
}

/* --- reports --- */

static json_t *load_report(const char *file)
{
    json_error_t error;
    json_t *report = json_load_file(file, 0, &error);
    json_int_t format = json_integer_value(json_object_get(report, "format"));

    if (report == NULL) {
        command_fail("%s: %s", file, error.text);
    } else if (format != REPORT_FORMAT) {
        command_fail(format > REPORT_FORMAT ? "%s: written by a newer fastimport than this one"
                                            : "%s: this is no report of fastimport",
                     file);
        json_decref(report);
        report = NULL;
    }
    return report;
}

static void print_names(char *const *files, json_t *const *reports, int n)
{
    printf("%-30s", "report");
    for (int i = 0; i < n; i++) {
        put_cell(files[i], n == 1);
    }
    printf("\n%-30s", "was it active?");
    for (int i = 0; i < n; i++) {
        put_cell(json_is_true(json_object_get(reports[i], "active")) ? "yes" : "no", n == 1);
    }
    putchar('\n');
}

static void print_reasons(char *const *files, json_t *const *reports, int n)
{
    for (int i = 0; i < n; i++) {
        const char *why = json_string_value(json_object_get(reports[i], "why"));
        const json_t *left = json_object_get(reports[i], "left_to_ld_so");
        size_t index;
        json_t *library;

        if (why != NULL) {
            put_printable(files[i]);
            fputs(": nothing was served: ", stdout);
            put_printable(why);
            putchar('\n');
        }
        json_array_foreach(left, index, library)
        {
            const char *path = json_string_value(json_object_get(library, "path"));
            const char *reason = json_string_value(json_object_get(library, "why"));

            if (path != NULL && reason != NULL) {
                put_printable(files[i]);
                fputs(": not served: ", stdout);
                put_printable(path);
                fputs(": ", stdout);
                put_printable(reason);
                putchar('\n');
            }
        }
    }
}

int subcommand_report(int argc, char **argv)
{
    static const struct argp argp = {
        NULL,
        parse_report,
        "FILE...",
        "Prints the reports that jobs have written (FASTIMPORT_REPORT=FILE), side by side.\v"
        "\"without fastimport\" is what the ranks asked for: every call, and every byte once on "
        "each "
        "node. How each figure is made is described in report/FORMAT.md of the sources.",
        NULL,
        NULL,
        NULL};
    struct report_settings s = {0};
    json_t *reports[MOST_REPORTS];
    int n = 0;
    bool whole = true;

    command_parse(&argp, "fastimport report", argc, argv, false, &s);
    for (; whole && s.files[n] != NULL; n += whole) {
        if (n == MOST_REPORTS) {
            whole = false;
            command_fail("more than %d reports", MOST_REPORTS);
            break;
        }
        reports[n] = load_report(s.files[n]);
        whole = reports[n] != NULL;
    }
    if (whole) {
        print_names(s.files, reports, n);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            print_row(&rows[i], reports, n);
        }
        print_reasons(s.files, reports, n);
    }
    while (n > 0) {
        json_decref(reports[--n]);
    }
    return whole ? COMMAND_OK : COMMAND_WRONG;
}
