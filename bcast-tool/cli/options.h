/* SPDX-License-Identifier: BSD-3-Clause */
/* options.h - parses the command line, by one table. */
#ifndef BCAST_CLI_OPTIONS_H
#define BCAST_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { OPTIONS_LIST = 64 };

enum command {
    COMMAND_PACK,
    COMMAND_STAGE,
    COMMAND_ACTIVATE,
    COMMAND_RUN,
    COMMAND_VERIFY,
    COMMAND_LIST,
    COMMAND_CLEAN,
    COMMANDS
};

struct settings {
    enum command command;
    const char *output, *dir, *old_prefix, *failed_nodes, *archive_list, *shell, *decompress;
    const char *exclude[OPTIONS_LIST + 1];
    uint64_t level, threads, allow_failed, max_bytes, max_files;
    bool level_given, threads_given;
    bool force, dry_run, quiet, verbose, timing, json, external_links, no_default_excludes,
        with_python, dereference_outside, keep_outside;
    bool legacy;  /* the old tool's usage: -p DIR ARCHIVE... */
    char **words; /* the words that are no options */
    int n_words;
};

enum options_outcome { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

/* Fills `s`, which then points into argv. OPTIONS_DONE after --help or --version; OPTIONS_WRONG
 * after one line on stderr. Prints only if `speak`. */
enum options_outcome options_parse(struct settings *s, int argc, char **argv, bool speak);

#endif
