/* SPDX-License-Identifier: BSD-3-Clause */
/* option_table.h - the commands and options, as options.c parses them and help.c prints them. */
#ifndef BCAST_CLI_OPTION_TABLE_H
#define BCAST_CLI_OPTION_TABLE_H

#include <stddef.h>

#include "cli/options.h"

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER, OPTION_SIZE, OPTION_REPEATED };

struct option_row {
    const char *name;
    int letter;
    enum option_kind kind;
    size_t field, given; /* `given`: a bool that is set with the option, or 0 */
    unsigned commands;   /* a bit for each */
    const char *argument, *help;
};

struct command_row {
    const char *name, *usage, *help;
};

extern const struct option_row option_table[];
extern const size_t option_rows;
extern const struct command_row command_table[COMMANDS];

/* Prints the help of all, or of one command. */
void help_print(void);
void help_print_command(enum command command);

#endif
