/* SPDX-License-Identifier: BSD-3-Clause */
/* plan.c - see plan.h */
#include "plan/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "cache/query.h"
#include "plan/plan_file.h"
#include "policy/policy.h"
#include "process/python_argv.h"

/* --- which file --- */

static uint64_t hash_variable(const char *name, uint64_t key)
{
    const char *value = getenv(name);

    return fi_hash(value == NULL ? "" : value, value == NULL ? 0 : strlen(value), key);
}

/* Hashes those roots that are environments, in order. */
static uint64_t hash_environments(const char *roots, uint64_t key)
{
    while (*roots != '\0') {
        size_t n = strcspn(roots, "\n");

        if (*roots == ROOT_ALL) {
            key = fi_hash(roots, n, key);
        }
        roots += n + (roots[n] != '\0');
    }
    return key;
}

/* A key for the environment: a plan that was made in another one is of no use. */
static uint64_t identify_environment(const char *roots)
{
    char exe[FI_PATH_MAX];
    size_t n = sys_program(exe, sizeof exe);
    uint64_t key = hash_environments(roots, 1);

    key = fi_hash(exe, n, key);
    key = hash_variable("LD_LIBRARY_PATH", key);
    return hash_variable("PYTHONHOME", key);
}

/* A key for the program, with all else that decides what it imports. By default each program has a
 * plan of its own. */
static uint64_t identify_program(const struct plan_identity *id, uint64_t key)
{
    char text[FI_PATH_MAX];

    python_argv_describe(id->argc, id->argv, text, sizeof text);
    key = fi_hash(text, strlen(text), key);
    key = fi_hash(id->roots, strlen(id->roots), key);
    key = hash_variable("PYTHONPATH", key);
    return hash_variable("PYTHONSTARTUP", key);
}

static bool is_absolute(const char *path)
{
    return path != NULL && path[0] == '/';
}

bool plan_directory(char *out, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (is_absolute(cache)) {
        snprintf(out, size, "%s/fastimport", cache);
    } else if (is_absolute(home)) {
        snprintf(out, size, "%s/.cache/fastimport", home);
    }
    return is_absolute(cache) || is_absolute(home);
}

/* <directory>/<key>.plan. XDG_CACHE_HOME is made if it does not exist, as a job may have one of its
 * own. HOME is not made. */
static void default_file(struct plan *plan, uint64_t program)
{
    const char *home = getenv("HOME");
    char directory[FI_PATH_MAX];

    if (is_absolute(getenv("XDG_CACHE_HOME")) && plan_directory(directory, sizeof directory)) {
        file_make_directory(directory, 0700);
    } else if (is_absolute(home)) {
        snprintf(directory, sizeof directory, "%s/.cache", home);
        sys_mkdir(directory, 0700);
        snprintf(directory, sizeof directory, "%s/.cache/fastimport", home);
        sys_mkdir(directory, 0700);
    } else {
        return;
    }
    snprintf(plan->file, sizeof plan->file, "%.4000s/%016" PRIx64 ".plan", directory, program);
}

static void choose_file(struct plan *plan, const char *setting, uint64_t program)
{
    plan->load = plan->save = true;
    if (setting == NULL) {
        default_file(plan, program);
        return;
    }
    if (strcmp(setting, "off") == 0) {
        return;
    }
    if (strncmp(setting, "record:", 7) == 0) {
        plan->load = false;
        setting += 7;
    } else if (strncmp(setting, "use:", 4) == 0) {
        plan->save = false;
        setting += 4;
    }
    snprintf(plan->file, sizeof plan->file, "%s", setting);
}

/* --- entries --- */

void plan_close(struct plan *plan)
{
    plan_clear(plan);
    free(plan->entries);
    free(plan->touched);
    *plan = (struct plan){0};
}

/* --- reading --- */

static void plan_read(struct plan *plan)
{
    const char *wrong = plan_file_read(plan);

    if (wrong != NULL) {
        fi_log(
            LOG_WARN,
            "the plan %s is not used: %s; this start is a cold one (FASTIMPORT_PLAN names another, "
            "'fastimport plan drop' removes it)",
            plan->file, wrong);
        plan->refused = true;
        plan_clear(plan);
    }
    plan->loaded = plan->n;
}

void plan_open(struct plan *plan, const struct fi_config *config,
               const struct plan_identity *identity)
{
    *plan = (struct plan){.key = identify_environment(identity->roots)};
    choose_file(plan, config->plan, identify_program(identity, plan->key));
    if (plan->file[0] != '\0' && plan->load) {
        plan_read(plan);
    }
}

/* --- merging --- */

static struct fi_query query_of(const struct plan_entry *e)
{
    return query_make((enum record_kind)e->kind, e->argument, e->path, e->length);
}

/* Has this run asked for the record? */
static bool is_used(const struct record *r)
{
    return r != NULL && ((record_flags(r) & RECORD_USED) != 0 ||
                         (record_flags(r) & (RECORD_PLANNED | RECORD_SEARCHED)) == 0);
}

/* Sets the age of used entries to 0; the others grow older. */
static void age_entries(struct plan *plan, const struct segment *segment)
{
    for (size_t i = 0; i < plan->n; i++) {
        struct plan_entry *e = &plan->entries[i];
        struct fi_query q = query_of(e);
        const struct record *r = segment_find_past(segment, &q);
        bool used = is_used(r);

        e->age = (uint16_t)(used ? 0 : e->age + 1);
        plan->used += used && i < plan->loaded;
    }
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Is this record missing in the plan, unless it has an entry with its hash? Records of the plan
 * have RECORD_PLANNED, but not those that the program asked for before their turn came. Of the
 * search for a library only the files that are mapped matter. */
static bool is_new(const struct record *r)
{
    if (!query_has_answer(r) || (record_flags(r) & (RECORD_UNAVAILABLE | RECORD_PLANNED)) != 0) {
        return false;
    }
    return (record_flags(r) & (RECORD_SEARCHED | RECORD_USED)) != RECORD_SEARCHED ||
           (r->kind == RECORD_CONTENT && r->error == 0);
}

/* Does the listing of its directory, which is in the plan, too, say that this name does not exist?
 * A rank asked for it before that listing had come. */
static bool is_implied(const struct segment *segment, const struct record *r)
{
    size_t n = path_parent_length(r->path, r->path_length);
    struct fi_query q = query_make(RECORD_LIST, 0, r->path, n);
    const struct record *list;

    if (r->kind != RECORD_STAT || r->error != ENOENT || n == 0) {
        return false;
    }
    list = segment_find_past(segment, &q);
    return list != NULL && record_list_lacks(list, r->path + n + 1);
}

static void add_new(struct plan *plan, const struct segment *segment)
{
    size_t n_known = plan->n;
    uint64_t *known = calloc(n_known + 1, sizeof *known);
    uint64_t position = segment_arena_start(segment);
    const struct record *r;

    for (size_t i = 0; known != NULL && i < n_known; i++) {
        known[i] = query_of(&plan->entries[i]).hash;
    }
    if (known != NULL) {
        qsort(known, n_known, sizeof *known, by_hash);
    }
    while (known != NULL && (r = segment_walk_whole(segment, &position)) != NULL) {
        const struct record_content *c = record_payload(r);
        struct plan_entry e = {.path = (char *)r->path,
                               .argument = r->argument,
                               .length = r->path_length,
                               .kind = r->kind};

        if (is_new(r) && !is_implied(segment, r) &&
            bsearch(&r->hash, known, n_known, sizeof *known, by_hash) == NULL) {
            e.size = r->kind == RECORD_CONTENT && r->error == 0 ? c->size : 0;
            plan_add(plan, &e);
        }
    }
    free(known);
}

void plan_merge(struct plan *plan, const struct segment *segment, bool complete)
{
    size_t before = plan->n;

    if (complete) {
        age_entries(plan, segment);
    }
    add_new(plan, segment);
    plan->missed += plan->n - before;
}

/* --- writing --- */

/* At most one warning a job: if the plan could not be read there is none that it cannot be
 * written. */
void plan_save(const struct plan *plan)
{
    int error = plan->file[0] == '\0' || !plan->save ? 0 : plan_file_write(plan);

    if (error != 0 && !plan->refused) {
        fi_log_once(LOG_WARN,
                    "the plan %s cannot be written: %s; the next start will be a cold one (set "
                    "FASTIMPORT_PLAN to a file elsewhere, or to off)",
                    plan->file, strerror(-error));
    }
}
