/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "stage/stage.h"

struct archives {
    char **names;
    int n;
};

static void stage_add_archive(struct archives *a, const char *name)
{
    a->names = io_realloc(a->names, (size_t)(a->n + 1) * sizeof *a->names);
    a->names[a->n++] = io_strdup(name);
}

/* Collects the archives of the command line, then the lines of the list. Blank lines and comments
 * with # are skipped. */
static int stage_collect_archives(struct archives *a, const struct settings *s, struct error *err)
{
    char line[PATH_MAX];
    for (int i = 0; i < s->n_words; i++) {
        stage_add_archive(a, s->words[i]);
    }
    FILE *list = s->archive_list != NULL ? fopen(s->archive_list, "r") : NULL;
    if (s->archive_list != NULL && list == NULL) {
        return error_set_errno(err, s->archive_list, "cannot open");
    }
    while (list != NULL && fgets(line, sizeof line, list) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] && line[0] != '#') {
            stage_add_archive(a, line);
        }
    }
    if (list != NULL) {
        fclose(list);
    }
    return 0;
}

/* Draws a bar on a terminal, at most ten times a second. */
static void stage_show_progress(uint64_t done, uint64_t all, double seconds)
{
    static double last;
    if (seconds - last < 0.1 || all == 0) {
        return;
    }
    last = seconds;
    double part = (double)done / (double)all, speed = (double)done / 1048576 / seconds;
    int filled = (int)(part * 30);
    fprintf(stderr, "\r[%.*s%*s] %3.0f%%  %.0f MiB/s  %.0f s left ", filled,
            "##############################", 30 - filled, "", part * 100, speed,
            part > 0 ? seconds / part - seconds : 0.0);
}

static const char *stage_outcome_name(enum stage_outcome o)
{
    static const char *const names[] = {"staged", "nothing to do", "would stage", "failed"};
    return names[o];
}

static json_t *stage_failures_json(const struct stage_result *r)
{
    json_t *bad = json_array();
    for (int i = 0; r->reports != NULL && i < r->nodes; i++) {
        const struct node_status *one = &r->reports[i];
        if (one->error.set) {
            json_array_append_new(bad, json_pack("{s:o, s:o, s:o}", "node", json_text(one->node),
                                                 "path", json_text(one->error.path), "reason",
                                                 json_text(one->error.reason)));
        }
    }
    return bad;
}

/* MiB per second on each node. */
static double stage_rate(const struct stage_result *r)
{
    return r->seconds > 0 ? (double)r->bytes / 1048576 / r->seconds : 0;
}

/* Prints one JSON document, which is all that goes to stdout. */
static void stage_print_json(const struct settings *s, const struct stage_result *r)
{
    json_t *o = json_pack("{s:s, s:o, s:i, s:i, s:o, s:I, s:I, s:I, s:f}", "outcome",
                          stage_outcome_name(r->outcome), "dir", json_text(s->dir), "nodes",
                          r->nodes, "failed", r->failed, "failed_nodes", stage_failures_json(r),
                          "entries", (json_int_t)r->files, "bytes", (json_int_t)r->bytes, "stored",
                          (json_int_t)r->stored, "seconds", r->seconds);
    if (s->timing && r->outcome == STAGE_DONE) {
        json_object_set_new(o, "mib_per_second", json_real(stage_rate(r)));
    }
    json_print(o);
}

static void stage_print_failure(const struct stage_result *r)
{
    struct error err = r->first.error;
    size_t n = strlen(err.reason);
    if (r->failed > 1) {
        snprintf(err.reason + n, sizeof err.reason - n, " (and %d more of %d nodes)", r->failed - 1,
                 r->nodes);
    }
    cli_complain(r->nodes > 1 ? r->first.node : NULL, &err);
}

static void stage_print_result(const struct settings *s, const struct stage_result *r)
{
    if (r->failed) {
        stage_print_failure(r);
    }
    if (s->json) {
        stage_print_json(s, r);
    } else if (r->outcome != STAGE_FAILED && !s->quiet) {
        printf("%s: %s on %d nodes%s, %.2f s\n", s->dir, stage_outcome_name(r->outcome),
               r->nodes - r->failed, r->failed ? " (not on those above)" : "", r->seconds);
    }
    if (s->timing && !s->json && r->outcome == STAGE_DONE) {
        printf("%" PRIu64 " entries, %.1f MiB, %.1f MiB/s per node\n", r->files,
               (double)r->bytes / 1048576, stage_rate(r));
    }
}

/* Devices take a stream; any other file is replaced. */
static bool stage_is_device(const char *file)
{
    struct stat st;
    return strncmp(file, "/dev/", 5) == 0 && stat(file, &st) == 0 && !S_ISREG(st.st_mode);
}

static int stage_put_failed(const char *file, int flags, const struct stage_result *r)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC | flags, 0666);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    for (int i = 0; out != NULL && r->reports != NULL && i < r->nodes; i++) {
        if (r->reports[i].error.set) {
            fprintf(out, "%s\n", r->reports[i].node);
        }
    }
    return out != NULL && fclose(out) == 0 ? 0 : -1;
}

/* Writes a new file beside it and renames that, so that a symlink is replaced, not followed. */
static int stage_replace_failed(const char *file, const struct stage_result *r)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number) {
        return -1;
    }
    char *partial = io_format("%s.partial-%016" PRIx64, file, number);
    int result = stage_put_failed(partial, O_CREAT | O_EXCL | O_NOFOLLOW, r);
    if (result == 0) {
        result = rename(partial, file);
    }
    int saved = errno;
    if (result < 0) {
        unlink(partial);
    }
    free(partial);
    errno = saved;
    return result;
}

static int stage_write_failed(const char *file, const struct stage_result *r)
{
    struct error err = {0};
    int result =
        stage_is_device(file) ? stage_put_failed(file, 0, r) : stage_replace_failed(file, r);
    if (result == 0) {
        return 0;
    }
    error_set_errno(&err, file, "cannot write the list of failed nodes");
    return cli_complain(NULL, &err);
}

static void stage_catch_signals(void)
{
    struct sigaction a = {.sa_handler = stage_interrupt};
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGHUP, &a, NULL);
    sigaction(SIGUSR1, &a, NULL); /* batch systems send it as a warning before they end the job */
    signal(SIGPIPE, SIG_IGN);
}

/* `where`: the value of --decompress, or NULL. */
static enum stage_travel stage_travel_of(const char *where)
{
    if (where != NULL && strcmp(where, "once") == 0) {
        return TRAVEL_PLAIN;
    }
    return where != NULL && strcmp(where, "nodes") == 0 ? TRAVEL_STORED : TRAVEL_AUTO;
}

static struct stage_options stage_options_of(const struct settings *s, const struct archives *a,
                                             bool bar)
{
    return (struct stage_options){
        .archives = (const char *const *)a->names,
        .n = a->n,
        .dir = s->dir,
        .old_prefix = s->old_prefix,
        .allow_failed = (int)s->allow_failed,
        .force = s->force || s->legacy,
        .dry_run = s->dry_run,
        .external_links = s->external_links || s->legacy,
        .max_bytes = s->max_bytes,
        .max_files = s->max_files,
        .travel = stage_travel_of(s->decompress),
        .progress = bar ? stage_show_progress : NULL,
    };
}

static void stage_free_archives(struct archives *a)
{
    for (int i = 0; i < a->n; i++) {
        free(a->names[i]);
    }
    free(a->names);
}

/* Ends by the signal that stopped the job, if one did, so that launchers see the failure. */
static int stage_end_by_signal(int status)
{
    int signal_number = stage_interrupted();
    if (signal_number) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
    return status;
}

int command_stage(const struct settings *s)
{
    struct cleanup_helper g;
    struct nodes n;
    struct error err = {0};
    struct archives a = {0};
    struct stage_result r;
    bool bar = !s->quiet && !s->json && isatty(2);
    cleanup_helper_start(&g);
    stage_catch_signals();
    if (nodes_open(&n, &err) < 0) {
        cleanup_helper_dismiss(&g);
        return cli_complain_once(&err);
    }
    bool speak = n.rank == 0;
    /* Only rank 0 reads archives: it may be the only one that can read the list. If it cannot, it
     * says so. */
    if (speak && stage_collect_archives(&a, s, &err) < 0) {
        cli_complain(NULL, &err);
    }
    struct stage_options o = stage_options_of(s, &a, bar && speak);
    stage_run(&n, &g, &o, &r);
    if (speak && bar) {
        fputs("\r\033[K", stderr);
    }
    if (speak) {
        stage_print_result(s, &r);
    }
    int status = r.outcome == STAGE_FAILED;
    if (speak && s->failed_nodes != NULL && stage_write_failed(s->failed_nodes, &r)) {
        status = 1;
    }
    free(r.reports);
    stage_free_archives(&a);
    /* hydra drops the exit status after an interrupt */
    if (status && stage_interrupted() && speak) {
        mpi_call.Abort(MPI_COMM_WORLD, 128 + stage_interrupted());
    }
    nodes_close(&n);
    return status ? stage_end_by_signal(status) : 0;
}
