/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command.h - what the files of the command `fastimport` share: its subcommands, and how it tells
 * the user that something is wrong.
 *
 * A subcommand gets the words from its own name on, parses them with argp(3), and returns the exit
 * status: 0 done, 1 something is wrong, 2 wrong usage.
 *
 * Thread rules: the command has one thread.
 */
#ifndef FASTIMPORT_COMMAND_COMMAND_H
#define FASTIMPORT_COMMAND_COMMAND_H

#include <argp.h>
#include <stdbool.h>

enum { COMMAND_OK, COMMAND_WRONG, COMMAND_USAGE };

int subcommand_run(int argc, char **argv);
int subcommand_check(int argc, char **argv);
int subcommand_report(int argc, char **argv);
int subcommand_plan(int argc, char **argv);

/* Prints "fastimport: <sentence>" on standard error. Returns COMMAND_WRONG. */
int command_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Parses the words of a subcommand with argp. name: as in "fastimport run", for its help. in_order:
 * what follows the first word that is no option is another program's. */
void command_parse(const struct argp *argp, const char *name, int argc, char **argv, bool in_order,
                   void *settings);

/* For a parser of a subcommand whose rest is another program's command line: at ARGP_KEY_ARG ends
 * the parsing. Returns the words, which end with NULL. */
char **command_take_rest(struct argp_state *state);

#endif
