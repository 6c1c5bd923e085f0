/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * differential: random calls on random trees, written down for comparison.
 *
 *   differential build --tree DIR --library SO ...   makes the trees
 *   differential run --tree DIR --out FILE ...       makes the calls, writes FILE.<rank>
 *
 * As rank r of n (PMI_RANK, PMI_SIZE), `run` takes the sequences whose number is r modulo n; with
 * --attached a child of the rank takes them. With --relay FILE the n ranks make the calls of each
 * sequence in turns, a few at a time; where no launcher has started them, --processes N starts them.
 * FILE.<rank>.served then says how many of the regular files that it opened first were others than
 * those of the tree: copies, of a cache.
 */
#include "tests/conformance/differential/relay.h"
#include "tests/conformance/differential/sequence.h"
#include "tests/conformance/interpose/transcript.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RELAY_CALLS = 4 }; /* calls in a turn */

int Py_Initialize(void);

/* Exported: by this name fastimport takes the program for a Python. */
int Py_Initialize(void)
{
    return 0;
}

struct options {
    uint64_t seed;
    unsigned first, sequences, calls, kinds, rank, ranks;
    const char *tree, *out, *library;
    const char *relay; /* file of the turns, or NULL */
    char *only;        /* comma-separated call numbers, or NULL for all */
    bool attached;
};

static const struct option table[] = {
    {"seed", required_argument, NULL, 's'},      {"first", required_argument, NULL, 'f'},
    {"sequences", required_argument, NULL, 'n'}, {"calls", required_argument, NULL, 'c'},
    {"tree", required_argument, NULL, 't'},      {"out", required_argument, NULL, 'o'},
    {"library", required_argument, NULL, 'l'},   {"only", required_argument, NULL, 'i'},
    {"attached", no_argument, NULL, 'a'},        {"no-bad-pointers", no_argument, NULL, 'b'},
    {"no-writes", no_argument, NULL, 'w'},       {"relay", required_argument, NULL, 'r'},
    {"processes", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0},
};

static int differential_parse(int argc, char **argv, struct options *o)
{
    int c;
    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (c) {
        case 's':
            o->seed = strtoull(optarg, NULL, 0);
            break;
        case 'f':
            o->first = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            o->sequences = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            o->calls = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 't':
            o->tree = optarg;
            break;
        case 'o':
            o->out = optarg;
            break;
        case 'l':
            o->library = optarg;
            break;
        case 'i':
            o->only = optarg;
            break;
        case 'a':
            o->attached = true;
            break;
        case 'b':
            o->kinds |= SEQ_NO_BAD_POINTERS;
            break;
        case 'w':
            o->kinds |= SEQ_NO_WRITES;
            break;
        case 'r':
            o->relay = optarg;
            break;
        case 'p':
            o->ranks = (unsigned)strtoul(optarg, NULL, 10);
            break;
        default:
            return -1;
        }
    }
    return o->tree ? 0 : -1;
}

static int build(const struct options *o)
{
    static struct plan p;
    for (unsigned i = 0; i < o->sequences; i++) {
        const char *failed;
        plan_make(&p, o->seed, o->first + i, o->tree);
        if (plan_build(&p, o->library, &failed) != 0) {
            fprintf(stderr, "differential: cannot build %s of sequence %u: %m\n", failed,
                    o->first + i);
            return 1;
        }
    }
    return 0;
}

struct tally {
    unsigned opened, served;
};

static void count_served(const struct sequence *s, const char *tree, struct tally *tally)
{
    char link[64], name[4096];
    struct stat st;
    for (int i = 0; i < SLOTS; i++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", s->fds[i]);
        long n = s->fds[i] < 0 ? -1 : syscall(SYS_readlink, link, name, sizeof name - 1);
        if (n < 0 || fstat(s->fds[i], &st) != 0 || !S_ISREG(st.st_mode)) {
            continue;
        }
        name[n] = '\0';
        tally->opened++;
        tally->served += strncmp(name, tree, strlen(tree)) != 0;
    }
}

static int write_served(const char *out, const struct tally *tally)
{
    char path[4200];
    snprintf(path, sizeof path, "%s.served", out);
    FILE *f = fopen(path, "w");
    if (!f) {
        return 2;
    }
    fprintf(f, "%u %u\n", tally->served, tally->opened);
    return fclose(f) == 0 ? 0 : 2;
}

static bool is_wanted(const struct options *o, unsigned call)
{
    for (const char *p = o->only; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        if (strtoul(p, NULL, 10) == call) {
            return true;
        }
    }
    return o->only == NULL;
}

static void make_calls(const struct options *o, struct sequence *s, unsigned from, unsigned end)
{
    for (unsigned i = from; i < end && i < o->calls; i++) {
        if (is_wanted(o, i)) {
            sequence_call(s, i);
        }
    }
}

static void run_one(const struct options *o, unsigned number, struct tally *tally)
{
    static struct sequence s;
    sequence_start(&s, o->seed, number, o->tree, o->kinds);
    count_served(&s, o->tree, tally);
    make_calls(o, &s, 0, o->calls);
    sequence_end(&s);
}

/* The same in turns: all processes start the sequence, one after the other; then each turn of
 * RELAY_CALLS calls is made by one of them. `turn` is the sequence's first. */
static void relay_one(const struct options *o, unsigned number, uint32_t turn, struct tally *tally)
{
    static struct sequence s;
    relay_await(turn + o->rank);
    sequence_start(&s, o->seed, number, o->tree, o->kinds);
    count_served(&s, o->tree, tally);
    relay_pass(turn + o->rank);
    turn += o->ranks;
    for (unsigned i = 0; i < o->calls; i += RELAY_CALLS, turn++) {
        struct rng r = rng_make(o->seed, number, UINT64_MAX - 2 - i);
        if (rng_below(&r, o->ranks) == o->rank) {
            relay_await(turn);
            sequence_refresh(&s);
            make_calls(o, &s, i, i + RELAY_CALLS);
            relay_pass(turn);
        }
    }
    sequence_end(&s);
}

static void run_all(const struct options *o, struct tally *tally)
{
    uint32_t turns = o->ranks + (o->calls + RELAY_CALLS - 1) / RELAY_CALLS;
    for (unsigned i = 0; i < o->sequences; i++) {
        if (o->relay) {
            relay_one(o, o->first + i, i * turns, tally);
        } else if ((o->first + i) % o->ranks == o->rank) {
            run_one(o, o->first + i, tally);
        }
    }
}

static int differential_run(const struct options *o)
{
    char out[4096];
    struct tally tally = {0, 0};
    snprintf(out, sizeof out, "%s.%u", o->out, o->rank);
    if (tr_open(out) != 0) {
        fprintf(stderr, "differential: cannot write %s: %m\n", out);
        return 2;
    }
    if (o->relay && relay_open(o->relay) != 0) {
        fprintf(stderr, "differential: cannot open %s: %m\n", o->relay);
        return 2;
    }
    run_all(o, &tally);
    tr_line("== end");
    tr_close();
    return write_served(out, &tally);
}

static void differential_look_at(const char *path)
{
    char text[64];
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    DIR *d = opendir(path);
    while (d && readdir(d)) {
        ;
    }
    if (d) {
        closedir(d);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (lstat(path, &st) == 0 && stat(path, &st) == 0 && access(path, R_OK) == 0) {
        (void)!readlink(path, text, sizeof text);
    }
}

/* Children are served what the rank has seen before. */
static void differential_look_around(const struct options *o)
{
    static struct plan p;
    for (unsigned i = 0; i < o->sequences; i++) {
        if ((o->first + i) % o->ranks != o->rank) {
            continue;
        }
        plan_make(&p, o->seed, o->first + i, o->tree);
        differential_look_at(p.ground);
        for (size_t e = 0; chdir(p.root) == 0 && e < p.n; e++) {
            differential_look_at(p.entries[e].path);
        }
    }
}

static int code_of_status(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The same in a child of the rank, a program of its own, which inherits the launcher's variables.
 */
static int run_attached(int argc, char **argv, const struct options *o)
{
    char *words[64];
    int n = 0, status;
    pid_t pid;
    for (int i = 0; i < argc && n < 63; i++) {
        if (strcmp(argv[i], "--attached") != 0) {
            words[n++] = argv[i];
        }
    }
    words[n] = NULL;
    differential_look_around(o);
    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, words, environ) != 0 ||
        waitpid(pid, &status, 0) != pid) {
        return 3;
    }
    return code_of_status(status);
}

/* Starts the processes of a relay that no launcher has started. Where one of them dies, the others
 * would wait for its turn: they are ended. Returns the exit code of the first that fails, or 0. */
static int run_relay(struct options *o)
{
    pid_t children[16];
    int status, first = 0;
    for (unsigned i = 0; i < o->ranks && i < 16; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            o->rank = i;
            _exit(differential_run(o));
        }
    }
    while (waitpid(-1, &status, 0) > 0) {
        if (status != 0 && first == 0) {
            first = code_of_status(status);
            for (unsigned i = 0; i < o->ranks && i < 16; i++) {
                kill(children[i], SIGKILL);
            }
        }
    }
    return first;
}

static int run_as_asked(int argc, char **argv, struct options *o)
{
    if (o->attached) {
        return run_attached(argc, argv, o);
    }
    return o->relay && !getenv("PMI_SIZE") ? run_relay(o) : differential_run(o);
}

int main(int argc, char **argv)
{
    const char *rank = getenv("PMI_RANK"), *ranks = getenv("PMI_SIZE");
    struct options o = {.seed = 1, .sequences = 1, .calls = 50};
#ifdef __SANITIZE_ADDRESS__
    o.kinds |= SEQ_NO_BAD_POINTERS; /* ASan reads arguments before the call does */
#endif
    o.rank = rank ? (unsigned)atoi(rank) : 0;
    o.ranks = ranks && atoi(ranks) > 0 ? (unsigned)atoi(ranks) : 1;
    if (argc > 1 && strcmp(argv[1], "build") == 0 &&
        differential_parse(argc - 1, argv + 1, &o) == 0 && o.library) {
        return build(&o);
    }
    if (argc > 1 && strcmp(argv[1], "run") == 0 &&
        differential_parse(argc - 1, argv + 1, &o) == 0 && o.out) {
        return run_as_asked(argc, argv, &o);
    }
    fprintf(stderr,
            "usage: differential build|run --tree DIR [--seed S] [--first K] [--sequences N]"
            " [--calls N] [--out FILE] [--library SO] [--only I,J,...]"
            " [--no-bad-pointers] [--no-writes] [--attached]"
            " [--relay FILE [--processes N]]\n");
    return 2;
}
