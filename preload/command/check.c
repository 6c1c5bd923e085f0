/* SPDX-License-Identifier: BSD-3-Clause */
/* check.c - see check.h */
#include "command/check.h"

#include <argp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/version.h"
#include "command/command.h"
#include "command/place.h"

static const struct argp_option check_options[] = {
    {"python", 'p', "FILE", 0, "the interpreter (default: python3 or python in PATH)", 0},
    {0},
};

static const char check_doc[] =
    "Says, a line for each, whether fastimport can work here, and what to do where it cannot. With "
    "a launcher's words it also starts a small job with them.\v"
    "For example: fastimport check -- srun -n 2\n\n"
    "Run it where the job's variables and modules are set. Exit status: 0 all is well, 1 something "
    "is WRONG, 2 wrong usage.";

static error_t parse_check(int key, char *value, struct argp_state *state)
{
    struct check *c = state->input;

    if (key == 'p') {
        c->python = value;
    } else if (key == ARGP_KEY_ARG) {
        c->launcher = command_take_rest(state);
    } else {
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

void check_say(struct check *check, enum finding finding, const char *topic, const char *format,
               ...)
{
    static const char *const names[] = {"ok", "note", "WRONG"};
    char line[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *c = line; *c != '\0'; c++) { /* names in it may control a terminal */
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = ' ';
        }
    }
    printf("%-6s %-12s %s\n", names[finding], topic, line);
    check->n_wrong += finding == FINDING_WRONG;
}

void check_library(struct check *check)
{
    char version[64];
    char companion[FI_PATH_MAX + 32];
    char *slash;

    if (!place_library(check->library, sizeof check->library)) {
        check->library[0] = '\0';
        check_say(
            check, FINDING_WRONG, "library",
            "there is no libfastimport.so beside this command: install fastimport as a whole");
        return;
    }
    if (!place_library_version(check->library, version, sizeof version) ||
        strcmp(version, version_number()) != 0) {
        check_say(check, FINDING_WRONG, "library",
                  "%s is not of version %s, as this command: install both anew", check->library,
                  version_number());
        return;
    }
    slash = strrchr(check->library, '/');
    snprintf(companion, sizeof companion, "%.*s/libfastimport-elf.so",
             (int)(slash - check->library), check->library);
    if (access(companion, R_OK) != 0) {
        check_say(check, FINDING_WRONG, "library",
                  "%s is missing, so shared libraries are not served: install both", companion);
        return;
    }
    check_say(check, FINDING_OK, "library", "%s, version %s", check->library, version);
}

/* --- variables --- */

static struct check *complaining; /* config.h's callback has no argument */

static void complain(const char *sentence)
{
    check_say(complaining, FINDING_WRONG, "variables", "%s", sentence);
}

void check_variables(struct check *check)
{
    int before = check->n_wrong;
    const char *preload = getenv("LD_PRELOAD");

    complaining = check;
    config_load(&check->config, complain);
    config_name_unknown(environ, complain);
    if (!check->config.enabled) {
        check_say(check, FINDING_WRONG, "variables",
                  "FASTIMPORT=0 switches fastimport off: unset FASTIMPORT");
    }
    if (preload != NULL && strstr(preload, "libfastimport") != NULL &&
        (check->library[0] == '\0' || strstr(preload, check->library) == NULL)) {
        check_say(check, FINDING_NOTE, "variables",
                  "LD_PRELOAD=%s names another fastimport than this command's", preload);
    }
    if (check->n_wrong == before) {
        check_say(check, FINDING_OK, "variables", "all FASTIMPORT variables are known");
    }
}

int subcommand_check(int argc, char **argv)
{
    static const struct argp argp = {
        check_options, parse_check, "[--] [LAUNCHER [WORD...]]", check_doc, NULL, NULL, NULL};
    static struct check check;

    command_parse(&argp, "fastimport check", argc, argv, true, &check);
    check_library(&check);
    check_variables(&check);
    check_environment(&check);
    check_mpi(&check);
    check_cache(&check);
    check_plan(&check);
    check_job(&check);
    return check.n_wrong == 0 ? COMMAND_OK : COMMAND_WRONG;
}
