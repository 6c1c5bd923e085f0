/* SPDX-License-Identifier: BSD-3-Clause */
/* run.c - fastimport run: starts a program with the library. Only this program and what it starts
 * get LD_PRELOAD, not the user's shell. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "command/command.h"
#include "command/handon.h"
#include "command/place.h"
#include "process/rank_variables.h"

enum { KEY_PRINT = 'n', KEY_QUIET = 'q', KEY_LIBRARY = 0x100, KEY_VARIABLES = 0x200 };

/* An option for each of these: its key is KEY_VARIABLES and its place here. */
static const char *const variables[] = {
    "FASTIMPORT_REPORT", "FASTIMPORT_LOG", "FASTIMPORT_PATH", "FASTIMPORT_EXCLUDE",
    "FASTIMPORT_PLAN",   "FASTIMPORT_FS",  "FASTIMPORT_MPI",  "FASTIMPORT_DIR",
};

static const struct argp_option run_options[] = {
    {"report", KEY_VARIABLES + 0, "FILE", 0, "at the end: the report; \"stderr\" for people", 1},
    {"log", KEY_VARIABLES + 1, "LEVEL", 0, "error, warn, info or debug", 1},
    {"path", KEY_VARIABLES + 2, "DIRS", 0, "more directories to serve", 1},
    {"exclude", KEY_VARIABLES + 3, "DIRS", 0, "directories never to serve", 1},
    {"plan", KEY_VARIABLES + 4, "PLAN", 0, "off, FILE, record:FILE or use:FILE", 1},
    {"fs", KEY_VARIABLES + 5, "WHICH", 0, "net: network file systems only; all", 1},
    {"mpi", KEY_VARIABLES + 6, "FILE", 0, "the MPI library, if the right one is not found", 1},
    {"dir", KEY_VARIABLES + 7, "DIR", 0, "where node caches live", 1},
    {"library", KEY_LIBRARY, "FILE", 0, "another libfastimport.so", 2},
    {"quiet", KEY_QUIET, NULL, 0, "without the line that says whether it is active", 2},
    {"print", KEY_PRINT, NULL, 0, "print what would be started, and start nothing", 2},
    {0},
};

static const char run_doc[] =
    "Starts a launcher, such as srun or mpiexec, so that the Pythons which it starts are served by "
    "fastimport. The options stand for variables such as FASTIMPORT_REPORT (see fastimport(7)), "
    "and "
    "hold for this program only. One line says whether fastimport is active.\v"
    "For example: fastimport run --report=stderr -- srun -n 512 python app.py";

struct run_settings {
    const char *library;
    bool print;
    bool quiet;
    char **words;
};

static error_t parse_run(int key, char *value, struct argp_state *state)
{
    struct run_settings *s = state->input;

    if (key >= KEY_VARIABLES && key < KEY_VARIABLES + (int)(sizeof variables / sizeof *variables)) {
        setenv(variables[key - KEY_VARIABLES], value, 1);
    } else if (key == KEY_LIBRARY) {
        s->library = value;
    } else if (key == KEY_PRINT) {
        s->print = true;
    } else if (key == KEY_QUIET) {
        s->quiet = true;
    } else if (key == ARGP_KEY_ARG) {
        s->words = command_take_rest(state);
    } else if (key == ARGP_KEY_NO_ARGS) {
        argp_error(state, "a program is missing, such as: srun -n 512 python app.py");
    } else {
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* Puts the library before what is in LD_PRELOAD already. */
static void set_preload(const char *library)
{
    const char *old = getenv("LD_PRELOAD");
    char *both = NULL;

    if (old == NULL || old[0] == '\0') {
        setenv("LD_PRELOAD", library, 1);
    } else if (strstr(old, library) == NULL && asprintf(&both, "%s:%s", library, old) >= 0) {
        setenv("LD_PRELOAD", both, 1);
        free(both);
    }
}

/* A Python that no launcher has started is one process, and not served. */
static bool is_without_launcher(const char *program)
{
    return strncmp(path_name(program, strlen(program)), "python", 6) == 0 &&
           rank_variables_read(NULL) < 0;
}

static void warn_without_launcher(const char *program)
{
    const char *name = path_name(program, strlen(program));

    if (is_without_launcher(program)) {
        command_fail("no launcher starts %s, so it is not served: write fastimport run -- srun (or "
                     "mpiexec) ... %s ...",
                     name, name);
    }
}

static void print_words(char **words)
{
    printf("LD_PRELOAD=%s", getenv("LD_PRELOAD"));
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);

        if (value != NULL) {
            printf(" %s=%s", variables[i], value);
        }
    }
    for (; *words != NULL; words++) {
        printf(" %s", *words);
    }
    putchar('\n');
}

/* LD_PRELOAD is a list with blanks and colons between its elements (ld.so(8)). */
static bool choose_library(struct run_settings *s, char found[FI_PATH_MAX])
{
    char version[64];
    char real[FI_PATH_MAX];

    if (s->library == NULL && !place_library(found, FI_PATH_MAX)) {
        command_fail("there is no libfastimport.so beside this command; --library names it");
        return false;
    }
    if (s->library != NULL) {
        if (realpath(s->library, real) == NULL) {
            command_fail("%s: %s", s->library, strerror(errno));
            return false;
        }
        snprintf(found, FI_PATH_MAX, "%s", real);
    }
    if (strpbrk(found, " :") != NULL) {
        command_fail("%s: ld.so takes no path with blanks or colons in LD_PRELOAD; install "
                     "fastimport elsewhere",
                     found);
        return false;
    }
    if (!place_library_version(found, version, sizeof version)) {
        command_fail("%s is no libfastimport.so", found);
        return false;
    }
    return true;
}

int subcommand_run(int argc, char **argv)
{
    static const struct argp argp = {
        run_options, parse_run, "[--] LAUNCHER [WORD...]", run_doc, NULL, NULL, NULL};
    struct run_settings s = {0};
    char library[FI_PATH_MAX];
    char **words;
    int error;

    command_parse(&argp, "fastimport run", argc, argv, true, &s);
    if (!choose_library(&s, library)) {
        return COMMAND_WRONG;
    }
    set_preload(library);
    /* who asks for fastimport wants to know whether it is there; without a launcher we say it */
    if (!s.quiet && !is_without_launcher(s.words[0])) {
        setenv("FASTIMPORT_LOG", "info", 0);
    }
    words = handon_words(s.words);
    if (words == NULL) {
        return command_fail("no memory");
    }
    if (s.print) {
        print_words(words);
        return COMMAND_OK;
    }
    warn_without_launcher(words[0]);
    execvp(words[0], words);
    error = errno;
    command_fail("cannot start %s: %s", words[0], strerror(error));
    return error == ENOENT ? 127 : 126; /* as a shell says it */
}
