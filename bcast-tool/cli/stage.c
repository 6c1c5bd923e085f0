#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

static void add_name(struct archives *a, const char *name)
{
    a->names = io_realloc(a->names, (size_t)(a->n + 1) * sizeof *a->names);
    a->names[a->n++] = io_strdup(name);
}

/* The words, then the lines of the list (blank ones and # comments are skipped). */
static int collect(struct archives *a, const struct settings *s, struct fault *f)
{
    char line[4096];
    for (int i = 0; i < s->n_words; i++)
        add_name(a, s->words[i]);
    FILE *list = s->archive_list ? fopen(s->archive_list, "r") : NULL;
    if (s->archive_list && !list)
        return fault_errno(f, s->archive_list, "cannot open");
    while (list && fgets(line, sizeof line, list)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] && line[0] != '#')
            add_name(a, line);
    }
    if (list)
        fclose(list);
    return 0;
}

/* A bar on a terminal, ten times a second. */
static void progress(uint64_t done, uint64_t all, double seconds)
{
    static double last;
    if (seconds - last < 0.1 || all == 0)
        return;
    last = seconds;
    double part = (double)done / (double)all, speed = (double)done / 1048576 / seconds;
    int filled = (int)(part * 30);
    fprintf(stderr, "\r[%.*s%*s] %3.0f%%  %.0f MiB/s  %.0f s left ", filled,
            "##############################", 30 - filled, "", part * 100, speed,
            part > 0 ? seconds / part - seconds : 0.0);
}

static const char *outcome_name(enum stage_outcome o)
{
    static const char *const names[] = {"staged", "nothing to do", "would stage", "failed"};
    return names[o];
}

static json_t *failures(const struct stage_result *r)
{
    json_t *bad = json_array();
    for (int i = 0; r->reports && i < r->nodes; i++) {
        const struct report *one = &r->reports[i];
        if (one->fault.set)
            json_array_append_new(bad, json_pack("{s:o, s:o, s:o}", "node", json_text(one->node),
                                                 "path", json_text(one->fault.path), "reason",
                                                 json_text(one->fault.reason)));
    }
    return bad;
}

/* MiB a second, on each node. */
static double rate(const struct stage_result *r)
{
    return r->seconds > 0 ? (double)r->bytes / 1048576 / r->seconds : 0;
}

/* All that goes to stdout. */
static void print_json(const struct settings *s, const struct stage_result *r)
{
    json_t *o =
        json_pack("{s:s, s:o, s:i, s:i, s:o, s:I, s:I, s:I, s:f}", "outcome",
                  outcome_name(r->outcome), "dir", json_text(s->dir), "nodes", r->nodes, "failed",
                  r->failed, "failed_nodes", failures(r), "entries", (json_int_t)r->files, "bytes",
                  (json_int_t)r->bytes, "stored", (json_int_t)r->stored, "seconds", r->seconds);
    if (s->timing && r->outcome == STAGE_DONE)
        json_object_set_new(o, "mib_per_second", json_real(rate(r)));
    json_print(o);
}

static void print_failure(const struct stage_result *r)
{
    struct fault f = r->first.fault;
    size_t n = strlen(f.reason);
    if (r->failed > 1)
        snprintf(f.reason + n, sizeof f.reason - n, " (and %d more of %d nodes)", r->failed - 1,
                 r->nodes);
    complain(r->nodes > 1 ? r->first.node : NULL, &f);
}

static void print_result(const struct settings *s, const struct stage_result *r)
{
    if (r->failed)
        print_failure(r);
    if (s->json)
        print_json(s, r);
    else if (r->outcome != STAGE_FAILED && !s->quiet)
        printf("%s: %s on %d nodes%s, %.2f s\n", s->dir, outcome_name(r->outcome),
               r->nodes - r->failed, r->failed ? " (not on those above)" : "", r->seconds);
    if (s->timing && !s->json && r->outcome == STAGE_DONE)
        printf("%" PRIu64 " entries, %.1f MiB, %.1f MiB/s a node\n", r->files,
               (double)r->bytes / 1048576, rate(r));
}

/* What takes a stream; all else is replaced. */
static bool is_stream(const char *file)
{
    struct stat st;
    return strncmp(file, "/dev/", 5) == 0 && stat(file, &st) == 0 && !S_ISREG(st.st_mode);
}

static int put_failed(const char *file, int flags, const struct stage_result *r)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC | flags, 0666);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    for (int i = 0; out && r->reports && i < r->nodes; i++)
        if (r->reports[i].fault.set)
            fprintf(out, "%s\n", r->reports[i].node);
    return out && fclose(out) == 0 ? 0 : -1;
}

/* Beside it, and renamed: a link that somebody has put there is replaced, not followed. */
static int write_failed(const char *file, const struct stage_result *r)
{
    uint64_t number;
    struct fault f = {0};
    if (is_stream(file) && put_failed(file, 0, r) == 0)
        return 0;
    if (!is_stream(file) && getrandom(&number, sizeof number, 0) == sizeof number) {
        char *temporary = io_format("%s.partial-%016" PRIx64, file, number);
        int done = put_failed(temporary, O_CREAT | O_EXCL | O_NOFOLLOW, r) == 0 &&
                   rename(temporary, file) == 0;
        int error = errno;
        if (!done)
            unlink(temporary);
        free(temporary);
        if (done)
            return 0;
        errno = error;
    }
    fault_errno(&f, file, "cannot write the list of failed nodes");
    return complain(NULL, &f);
}

static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = stage_interrupt};
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGHUP, &a, NULL);
    sigaction(SIGUSR1, &a, NULL); /* batch systems' warning */
    signal(SIGPIPE, SIG_IGN);
}

static struct stage_options options_of(const struct settings *s, const struct archives *a, bool bar)
{
    const char *where = s->decompress ? s->decompress : "auto";
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
        .travel = strcmp(where, "once") == 0    ? TRAVEL_PLAIN
                  : strcmp(where, "nodes") == 0 ? TRAVEL_STORED
                                                : TRAVEL_AUTO,
        .progress = bar ? progress : NULL,
    };
}

static void free_archives(struct archives *a)
{
    for (int i = 0; i < a->n; i++)
        free(a->names[i]);
    free(a->names);
}

/* Ends by the signal that stopped the job, if one did: launchers then see that it did not succeed.
 */
static int die_as_told(int status)
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
    struct guardian g;
    struct nodes n;
    struct fault f = {0};
    struct archives a = {0};
    struct stage_result r;
    bool bar = !s->quiet && !s->json && isatty(2);
    guardian_start(&g);
    catch_signals();
    nodes_open(&n);
    bool speak = n.rank == 0;
    /* only rank 0 reads archives: a list that only it can read is fine, and a bad one is told there
     */
    if (speak && collect(&a, s, &f) < 0)
        complain(NULL, &f);
    struct stage_options o = options_of(s, &a, bar && speak);
    stage_run(&n, &g, &o, &r);
    if (speak && bar)
        fputs("\r\033[K", stderr);
    if (speak)
        print_result(s, &r);
    int status = r.outcome == STAGE_FAILED;
    if (speak && s->failed_nodes && write_failed(s->failed_nodes, &r))
        status = 1;
    free(r.reports);
    free_archives(&a);
    if (status && stage_interrupted() && speak) /* hydra forgets exit statuses after an interrupt */
        MPI_Abort(MPI_COMM_WORLD, 128 + stage_interrupted());
    nodes_close(&n);
    return status ? die_as_told(status) : 0;
}
