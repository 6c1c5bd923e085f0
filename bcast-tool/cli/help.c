/* SPDX-License-Identifier: BSD-3-Clause */
/* help.c - what --help prints, in 80 columns. See option_table.h */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/option_table.h"

enum { HELP_COLUMN = 26, HELP_WIDTH = 79 };

/* Prints words from column `at` on, and goes on in column `indent` of the next line where they do
 * not fit. */
static void help_wrap(const char *text, int at, int indent)
{
    for (bool first = true; *text != '\0'; first = false) {
        int n = (int)strcspn(text, " ");

        if (!first && at + 1 + n > HELP_WIDTH) {
            printf("\n%*s", indent, "");
            at = indent;
            first = true;
        }
        at += printf("%s%.*s", first ? "" : " ", n, text);
        text += n + (text[n] == ' ');
    }
    putchar('\n');
}

static void help_print_option(const struct option_row *r)
{
    char letter[8] = "    ";
    int n;

    if (r->letter != 0) {
        snprintf(letter, sizeof letter, "-%c, ", r->letter);
    }
    n = printf("  %s--%s%s%s", letter, r->name, r->argument == NULL ? "" : "=",
               r->argument == NULL ? "" : r->argument);
    if (n > HELP_COLUMN - 2) {
        putchar('\n');
        n = 0;
    }
    printf("%*s", HELP_COLUMN - n, "");
    help_wrap(r->help, HELP_COLUMN, HELP_COLUMN);
}

static void help_print_own_options(void)
{
    static const struct option_row own[] = {
        {"help", 'h', OPTION_FLAG, 0, 0, 0, NULL, "print this help"},
        {"version", 0, OPTION_FLAG, 0, 0, 0, NULL, "print the version"}};

    help_print_option(&own[0]);
    help_print_option(&own[1]);
}

void help_print(void)
{
    puts("Usage: python-mpi-bcast COMMAND [OPTION...] [WORD...]\n"
         "Puts a Python environment onto the local disk of every node of a job.\n\n"
         "Commands:");
    for (int c = 0; c < COMMANDS; c++) {
        printf("  %-9s ", command_table[c].name);
        help_wrap(command_table[c].help, 12, 12);
    }
    puts("\nOptions:");
    help_print_own_options();
    puts("\n\"python-mpi-bcast COMMAND --help\" describes a command; python-mpi-bcast(1).\n"
         "The usage of the old tool works, too: python-mpi-bcast -p DIR ARCHIVE...\n"
         "Exit status: 0 done, 1 failed, 2 wrong usage.");
}

void help_print_command(enum command command)
{
    const struct command_row *c = &command_table[command];

    printf("Usage: python-mpi-bcast %s %s\n", c->name, c->usage);
    help_wrap(c->help, 0, 0);
    puts("\nOptions:");
    for (size_t i = 0; i < option_rows; i++) {
        if ((option_table[i].commands & 1U << command) != 0) {
            help_print_option(&option_table[i]);
        }
    }
    help_print_own_options();
}
