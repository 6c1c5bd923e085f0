/* SPDX-License-Identifier: BSD-3-Clause */
/* main.c - the command `fastimport`: starts programs with the library, looks for what is wrong, and
 * shows reports and plans. It uses no MPI itself. */
#include <argp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "command/command.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} subcommands[] = {
    {"run", subcommand_run, "start a program with fastimport"},
    {"check", subcommand_check, "say what is wrong here, and what to do"},
    {"report", subcommand_report, "print reports, and compare them"},
    {"plan", subcommand_plan, "show, merge and remove plans"},
};

enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

int command_fail(const char *format, ...)
{
    va_list args;

    fputs("fastimport: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return COMMAND_WRONG;
}

static void print_version(FILE *f, struct argp_state *state)
{
    (void)state;
    fprintf(f, "fastimport %s\n", version_number());
}

void command_parse(const struct argp *argp, const char *name, int argc, char **argv, bool in_order,
                   void *settings)
{
    argv[0] = (char *)name;
    argp_parse(argp, argc, argv, in_order ? ARGP_IN_ORDER : 0, NULL, settings);
}

char **command_take_rest(struct argp_state *state)
{
    char **rest = malloc((size_t)(state->argc - state->next + 2) * sizeof *rest);
    int n = 0;

    if (rest == NULL) {
        argp_failure(state, COMMAND_WRONG, 0, "no memory");
        return NULL;
    }
    for (int i = state->next - 1; i < state->argc; i++) {
        rest[n++] = state->argv[i];
    }
    rest[n] = NULL;
    state->next = state->argc;
    return rest;
}

static char *list_subcommands(int key, const char *text, void *input)
{
    char *list = NULL;
    size_t size;
    FILE *f;

    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC || (f = open_memstream(&list, &size)) == NULL) {
        return (char *)text;
    }
    fprintf(f, "Commands:\n");
    for (int i = 0; i < SUBCOMMANDS; i++) {
        fprintf(f, "  %-8s %s\n", subcommands[i].name, subcommands[i].help);
    }
    fprintf(f,
            "\n\"fastimport COMMAND --help\" describes a command; fastimport(1), fastimport(7).");
    fclose(f);
    return list;
}

/* What stands behind the options is a subcommand's. */
static error_t parse_top(int key, char *word, struct argp_state *state)
{
    if (key == ARGP_KEY_ARG) {
        argp_error(state, "%s is not a command", word);
    } else if (key == ARGP_KEY_NO_ARGS) {
        argp_error(state, "a command is missing");
    } else {
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct argp top = {.parser = parse_top,
                                    .args_doc = "COMMAND [WORD...]",
                                    .doc = "Starts thousands of Pythons at once without melting "
                                           "the shared file system.\v",
                                    .help_filter = list_subcommands};

    argp_program_version_hook = print_version;
    argp_err_exit_status = COMMAND_USAGE;
    for (int i = 0; argc > 1 && i < SUBCOMMANDS; i++) {
        if (strcmp(argv[1], subcommands[i].name) == 0) {
            return subcommands[i].run(argc - 1, argv + 1);
        }
    }
    command_parse(&top, "fastimport", argc, argv, true, NULL);
    return COMMAND_USAGE;
}
