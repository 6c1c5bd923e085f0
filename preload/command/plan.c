/* SPDX-License-Identifier: BSD-3-Clause */
/* plan.c - fastimport plan: shows, merges and removes plans. */
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "cache/record.h"
#include "command/command.h"
#include "plan/plan.h"
#include "plan/plan_file.h"

enum { KEY_OUTPUT = 'o', KEY_NAMES = 'l' };

static const struct argp_option plan_options[] = {
    {"output", KEY_OUTPUT, "FILE", 0, "merge: the plan to write", 0},
    {"list", KEY_NAMES, NULL, 0, "show: also the names that are in the plan", 0},
    {0},
};

static const char plan_doc[] =
    "show: what is in a plan; without FILE, in all that fastimport keeps by default.\n"
    "merge: writes one plan with what is in several that were made in the same environment.\n"
    "drop: removes plans; without FILE, all that fastimport keeps by default.\v"
    "A plan is the list of names that a program asked for when it ran before. At the next start "
    "they are looked up first. It is found again by the environment and the program; "
    "FASTIMPORT_PLAN names another file.";

struct plan_settings {
    const char *output;
    bool names;
    const char *action;
    char **files; /* NULL: none was given */
};

static error_t parse_plan(int key, char *value, struct argp_state *state)
{
    struct plan_settings *s = state->input;

    if (key == KEY_OUTPUT) {
        s->output = value;
    } else if (key == KEY_NAMES) {
        s->names = true;
    } else if (key == ARGP_KEY_ARG && s->action == NULL) {
        s->action = value;
    } else if (key == ARGP_KEY_ARG) {
        s->files = command_take_rest(state);
    } else if (key == ARGP_KEY_NO_ARGS) {
        argp_error(state, "show, merge or drop is missing");
    } else {
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* --- the plans that fastimport keeps by default --- */

static int is_plan(const struct dirent *e)
{
    return path_ends_with(e->d_name, ".plan");
}

/* Calls `act` for each of the files, or of the plans of the default directory. Returns the worst
 * status. */
static int for_each_plan(const struct plan_settings *s,
                         int (*act)(const struct plan_settings *s, const char *file))
{
    char directory[FI_PATH_MAX];
    char file[FI_PATH_MAX + 300];
    struct dirent **names = NULL;
    int worst = COMMAND_OK;
    int n;

    for (int i = 0; s->files != NULL && s->files[i] != NULL; i++) {
        worst |= act(s, s->files[i]);
    }
    if (s->files != NULL) {
        return worst;
    }
    if (!plan_directory(directory, sizeof directory)) {
        return command_fail("neither XDG_CACHE_HOME nor HOME is set, so there are no plans");
    }
    n = scandir(directory, &names, is_plan, alphasort);
    if (n <= 0) {
        printf("no plans in %s\n", directory);
    }
    for (int i = 0; i < n; i++) {
        snprintf(file, sizeof file, "%s/%s", directory, names[i]->d_name);
        worst |= act(s, file);
        free(names[i]);
    }
    free(names);
    return worst;
}

/* --- show --- */

static bool load_plan(struct plan *plan, const char *file)
{
    const char *wrong;

    *plan = (struct plan){.load = true};
    snprintf(plan->file, sizeof plan->file, "%s", file);
    wrong = plan_file_read(plan);
    if (wrong != NULL) {
        command_fail("%s: %s", file, wrong);
        plan_close(plan);
    }
    return wrong == NULL;
}

/* The entry's path, without what could control a terminal. */
static void print_path(const char *path)
{
    for (; *path != '\0'; path++) {
        putchar((unsigned char)*path < 0x20 || *path == 0x7f ? '?' : *path);
    }
}

static int show_plan(const struct plan_settings *s, const char *file)
{
    struct plan plan;
    uint64_t bytes = 0;
    size_t files = 0;
    size_t old = 0;

    if (!load_plan(&plan, file)) {
        return COMMAND_WRONG;
    }
    for (size_t i = 0; i < plan.n; i++) {
        bytes += plan.entries[i].size;
        files += plan.entries[i].size > 0;
        old += plan.entries[i].age > 0;
    }
    print_path(file);
    printf(": environment %016" PRIx64
           ", %zu names, %zu files of %.1f MB, %zu not used by the last run\n",
           plan.key, plan.n, files, (double)bytes / 1e6, old);
    for (size_t i = 0; s->names && i < plan.n; i++) {
        printf("  %12" PRIu64 "  ", plan.entries[i].size);
        print_path(plan.entries[i].path);
        putchar('\n');
    }
    plan_close(&plan);
    return COMMAND_OK;
}

/* --- merge --- */

static int by_key(const void *a, const void *b)
{
    const struct plan_entry *x = *(const struct plan_entry *const *)a;
    const struct plan_entry *y = *(const struct plan_entry *const *)b;
    int order = strcmp(x->path, y->path);

    if (order == 0) {
        order = (x->kind > y->kind) - (x->kind < y->kind);
    }
    return order != 0 ? order : (x->argument > y->argument) - (x->argument < y->argument);
}

/* Adds the entries of `more` that `plan` does not have. An entry in both has the smaller age. False:
 * no memory. */
static bool add_missing(struct plan *plan, const struct plan *more)
{
    size_t n = plan->n;
    struct plan_entry **known = calloc(n + 1, sizeof *known);
    bool whole = known != NULL;

    for (size_t i = 0; whole && i < n; i++) {
        known[i] = &plan->entries[i];
    }
    if (whole) {
        qsort(known, n, sizeof *known, by_key);
    }
    for (size_t i = 0; whole && i < more->n; i++) {
        const struct plan_entry *e = &more->entries[i];
        /* `known` holds places, which adding an entry may move: so first all that are in both */
        struct plan_entry **both = bsearch(&e, known, n, sizeof *known, by_key);

        if (both != NULL && e->age < (*both)->age) {
            (*both)->age = e->age;
        }
        more->entries[i].age = both != NULL ? PLAN_MAX_AGE : e->age;
    }
    for (size_t i = 0; whole && i < more->n; i++) {
        whole = more->entries[i].age == PLAN_MAX_AGE || plan_add(plan, &more->entries[i]);
    }
    free(known);
    return whole;
}

static int merge_file(struct plan *plan, const char *file)
{
    struct plan more;
    bool whole;

    if (!load_plan(&more, file)) {
        return COMMAND_WRONG;
    }
    if (plan->key != 0 && more.key != plan->key) {
        plan_close(&more);
        return command_fail("%s: it was made for another environment than the plan before it",
                            file);
    }
    plan->key = more.key;
    whole = add_missing(plan, &more);
    plan_close(&more);
    return whole ? COMMAND_OK : command_fail("no memory, or more than a million names");
}

static int merge_plans(const struct plan_settings *s)
{
    struct plan plan = {0};
    int status = COMMAND_OK;

    if (s->output == NULL || s->files == NULL) {
        command_fail("merge needs --output FILE, and plans");
        return COMMAND_USAGE;
    }
    for (int i = 0; status == COMMAND_OK && s->files[i] != NULL; i++) {
        status = merge_file(&plan, s->files[i]);
    }
    if (status == COMMAND_OK) {
        int error;

        snprintf(plan.file, sizeof plan.file, "%s", s->output);
        error = plan_file_write(&plan);
        if (error != 0) {
            status = command_fail("%s: %s", s->output, strerror(-error));
        }
    }
    plan_close(&plan);
    return status;
}

/* --- drop --- */

static int drop_plan(const struct plan_settings *s, const char *file)
{
    (void)s;
    if (!path_ends_with(file, ".plan")) {
        struct plan plan;

        if (!load_plan(&plan, file)) { /* which has said why: only plans are removed */
            return COMMAND_WRONG;
        }
        plan_close(&plan);
    }
    return unlink(file) == 0 ? COMMAND_OK : command_fail("%s: %s", file, strerror(errno));
}

int subcommand_plan(int argc, char **argv)
{
    static const struct argp argp = {
        plan_options, parse_plan, "show|drop [FILE...]\nmerge FILE...", plan_doc, NULL, NULL, NULL};
    struct plan_settings s = {0};

    command_parse(&argp, "fastimport plan", argc, argv, false, &s);
    if (strcmp(s.action, "show") == 0) {
        return for_each_plan(&s, show_plan);
    }
    if (strcmp(s.action, "drop") == 0) {
        return for_each_plan(&s, drop_plan);
    }
    if (strcmp(s.action, "merge") == 0) {
        return merge_plans(&s);
    }
    command_fail("%s is none of show, merge, drop", s.action);
    return COMMAND_USAGE;
}
