/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - the command line of sharedfs, which emulates a shared parallel file system on one
 * machine. See README.md in this folder.
 */
#include "serve.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char doc[] = "Emulates a shared file system. Each mount is the client of one node. "
                          "All mounts with the same state FILE share "
                          "one set of counters and one metadata server.\v"
                          "mount SOURCE MOUNTPOINT   serve SOURCE at MOUNTPOINT (which may be "
                          "SOURCE itself); returns when ready\n"
                          "umount MOUNTPOINT         unmount and wait until the server has ended\n"
                          "stats FILE                print the counters as JSON\n"
                          "reset FILE                set the counters to zero\n\n"
                          "The options are for mount. The timeouts of caches may be \"inf\". "
                          "By default operations cost nothing and are only counted.";
static const char args_doc[] =
    "mount SOURCE MOUNTPOINT --state FILE\numount MOUNTPOINT\nstats FILE\nreset FILE";

enum {
    OPT_STATE = 256,
    OPT_NODE,
    OPT_LOG,
    OPT_RTT,
    OPT_META,
    OPT_BANDWIDTH,
    OPT_FUSE,
    OPT_DILATE,
    OPT_ATTR,
    OPT_ENTRY,
    OPT_NEGATIVE,
    OPT_READAHEAD,
    OPT_MAX_READ,
    OPT_THREADS,
    OPT_NO_KEEP,
    OPT_FOREGROUND,
    OPT_UNTIL,
    OPT_READ_ONLY,
};

static const struct argp_option options[] = {
    {"state", OPT_STATE, "FILE", 0, "counters and server clocks, shared by all mounts (created)",
     1},
    {"node", OPT_NODE, "N", 0, "count as node N (default 0)", 1},
    {"log", OPT_LOG, "FILE", 0, "append a line for every operation", 1},
    {"rtt", OPT_RTT, "US", 0, "round trip of a request, microseconds", 2},
    {"meta-us", OPT_META, "US", 0, "the server's time for one metadata operation, microseconds", 2},
    {"bandwidth", OPT_BANDWIDTH, "MB/S", 0, "of all reads and writes together (0: unlimited)", 2},
    {"fuse-us", OPT_FUSE, "US", 0, "what FUSE itself takes of a round trip here (default 0)", 2},
    {"dilate", OPT_DILATE, "K", 0,
     "time dilation: all of these, the caches' timeouts and the computing between requests take K "
     "times longer (default 1)",
     2},
    {"attr-timeout", OPT_ATTR, "S", 0, "how long attributes stay cached (default 3)", 3},
    {"entry-timeout", OPT_ENTRY, "S", 0, "how long names stay cached (default 30)", 3},
    {"negative-timeout", OPT_NEGATIVE, "S", 0, "how long missing names stay cached (default 30)",
     3},
    {"readahead", OPT_READAHEAD, "KIB", 0, "read-ahead window (default 1024)", 3},
    {"max-read", OPT_MAX_READ, "KIB", 0, "largest read request, at most 1024 (default 1024)", 3},
    {"no-keep-cache", OPT_NO_KEEP, NULL, 0, "drop a file's pages at each open, unchanged or not",
     3},
    {"read-only", OPT_READ_ONLY, NULL, 0, "mount read-only, as software areas are on compute nodes",
     4},
    {"threads", OPT_THREADS, "N", 0, "requests in flight (default 64)", 4},
    {"foreground", OPT_FOREGROUND, NULL, 0, "serve in this process", 4},
    {"until", OPT_UNTIL, "PID", 0, "unmount when process PID ends", 4},
    {0},
};

struct command_line {
    struct fs_options o;
    char *words[3];
    unsigned count;
};

/* A number in [low, high]; otherwise argp prints an error with the option's name and exits. */
static double parse_number(struct argp_state *state, const char *name, const char *text, double low,
                           double high)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || isnan(value) || value < low || value > high) {
        argp_error(state, "--%s takes a number from %g to %g, not '%s'", name, low, high, text);
    }
    return value;
}

/* Seconds. "inf" is thirty years, a number that the protocol can carry. */
static double parse_timeout(struct argp_state *state, const char *name, const char *text)
{
    const double forever = 1e9;
    return strcmp(text, "inf") == 0 ? forever : parse_number(state, name, text, 0, forever);
}

static error_t parse_costs(int key, char *arg, struct argp_state *state, struct sfs_costs *c)
{
    switch (key) {
    case OPT_RTT:
        c->rtt_ns = (uint64_t)(parse_number(state, "rtt", arg, 0, 1e7) * 1e3);
        return 0;
    case OPT_META:
        c->meta_ns = (uint64_t)(parse_number(state, "meta-us", arg, 0, 1e7) * 1e3);
        return 0;
    case OPT_BANDWIDTH:
        c->bytes_per_second = (uint64_t)(parse_number(state, "bandwidth", arg, 0, 1e6) * 1e6);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_cache(int key, char *arg, struct argp_state *state, struct fs_options *o)
{
    switch (key) {
    case OPT_ATTR:
        o->attr_timeout = parse_timeout(state, "attr-timeout", arg);
        return 0;
    case OPT_ENTRY:
        o->entry_timeout = parse_timeout(state, "entry-timeout", arg);
        return 0;
    case OPT_NEGATIVE:
        o->negative_timeout = parse_timeout(state, "negative-timeout", arg);
        return 0;
    case OPT_READAHEAD:
        o->readahead = (unsigned)parse_number(state, "readahead", arg, 0, 65536) * 1024;
        return 0;
    case OPT_MAX_READ:
        o->max_read = (unsigned)parse_number(state, "max-read", arg, 4, 1024) * 1024;
        return 0;
    case OPT_NO_KEEP:
        o->keep_cache = false;
        return 0;
    case OPT_FUSE:
        o->fuse_ns = (uint64_t)(parse_number(state, "fuse-us", arg, 0, 1e4) * 1e3);
        return 0;
    case OPT_DILATE:
        o->dilate = parse_number(state, "dilate", arg, 1, 1000);
        return 0;
    default:
        return parse_costs(key, arg, state, &o->costs);
    }
}

static error_t parse_word(char *arg, struct argp_state *state, struct command_line *line)
{
    if (line->count == sizeof line->words / sizeof *line->words) {
        argp_error(state, "unexpected argument '%s'", arg);
    }
    line->words[line->count++] = arg;
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct command_line *line = state->input;
    struct fs_options *o = &line->o;

    switch (key) {
    case OPT_STATE:
        o->state_path = arg;
        return 0;
    case OPT_NODE:
        o->node = (unsigned)parse_number(state, "node", arg, 0, SFS_MAX_NODES - 1);
        return 0;
    case OPT_LOG:
        o->log_path = arg;
        return 0;
    case OPT_THREADS:
        o->threads = (unsigned)parse_number(state, "threads", arg, 1, 1024);
        return 0;
    case OPT_FOREGROUND:
        o->foreground = true;
        return 0;
    case OPT_READ_ONLY:
        o->read_only = true;
        return 0;
    case OPT_UNTIL:
        o->until = (int)parse_number(state, "until", arg, 1, 1 << 22);
        return 0;
    case ARGP_KEY_ARG:
        return parse_word(arg, state, line);
    default:
        return parse_cache(key, arg, state, o);
    }
}

static struct sfs_state *open_state(const char *path)
{
    struct sfs_state *state = sfs_state_map(path, 0);
    if (state == NULL) {
        fprintf(stderr, "sharedfs: cannot read state file %s: %s\n", path,
                errno == EINVAL ? "not made by this sharedfs" : strerror(errno));
    }
    return state;
}

/* All times as they pass in the dilated world. */
static void apply_dilation(struct fs_options *o)
{
    o->costs.rtt_ns = (uint64_t)((double)o->costs.rtt_ns * o->dilate);
    o->costs.meta_ns = (uint64_t)((double)o->costs.meta_ns * o->dilate);
    if (o->costs.bytes_per_second > 0) {
        o->costs.bytes_per_second = (uint64_t)((double)o->costs.bytes_per_second / o->dilate) + 1;
    }
    o->attr_timeout *= o->dilate;
    o->entry_timeout *= o->dilate;
    o->negative_timeout *= o->dilate;
}

static int run_mount(struct command_line *line)
{
    apply_dilation(&line->o);
    line->o.source = line->words[1];
    line->o.mountpoint = line->words[2];
    return serve_mount(&line->o);
}

static int run_umount(struct command_line *line)
{
    return serve_umount(line->words[1]);
}

static int run_stats(struct command_line *line)
{
    const struct sfs_state *state = open_state(line->words[1]);
    if (state != NULL) {
        sfs_state_print(state, stdout);
    }
    return state != NULL && fflush(stdout) == 0 ? 0 : 1;
}

static int run_reset(struct command_line *line)
{
    struct sfs_state *state = open_state(line->words[1]);
    if (state != NULL) {
        sfs_state_reset(state);
    }
    return state != NULL ? 0 : 1;
}

static const struct command {
    const char *name;
    unsigned words; /* the name included */
    int (*run)(struct command_line *);
} commands[] = {
    {"mount", 3, run_mount},
    {"umount", 2, run_umount},
    {"stats", 2, run_stats},
    {"reset", 2, run_reset},
};

static const struct command *command_of(const struct command_line *line)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (line->count > 0 && strcmp(commands[i].name, line->words[0]) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int usage(const char *message, const char *what)
{
    fprintf(stderr, "sharedfs: %s%s\nTry 'sharedfs --help' for more information.\n", message, what);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {options, parse_option, args_doc, doc, NULL, NULL, NULL};
    struct command_line line = {.o = {.dilate = 1,
                                      .attr_timeout = 3,
                                      .entry_timeout = 30,
                                      .negative_timeout = 30,
                                      .readahead = 1 << 20,
                                      .max_read = 1 << 20,
                                      .threads = 64,
                                      .keep_cache = true}};

    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, &line);
    const struct command *command = command_of(&line);
    if (command == NULL) {
        return usage("the first argument is mount, umount, stats or reset", "");
    }
    if (line.count != command->words) {
        return usage("wrong number of arguments for ", command->name);
    }
    if (command->run == run_mount && line.o.state_path == NULL) {
        return usage("mount needs --state FILE", "");
    }
    return command->run(&line);
}
