/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/option_table.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"

#define BIT(c)    (1U << (c))
#define STAGE     BIT(COMMAND_STAGE)
#define PACK      BIT(COMMAND_PACK)
#define ANY       (~0U)
#define AT(field) offsetof(struct settings, field)

const struct command_row command_table[COMMANDS] = {
    [COMMAND_PACK] = {"pack", "[OPTION...] PREFIX -o FILE",
                      "make an archive of an environment: .tar.zst, .tar.gz or .tar"},
    [COMMAND_STAGE] = {"stage", "[OPTION...] ARCHIVE... --to DIR",
                       "put archives into DIR on every node (under mpiexec)"},
    [COMMAND_ACTIVATE] = {"activate", "[OPTION...] DIR",
                          "print lines for the shell's eval, which activate DIR"},
    [COMMAND_RUN] = {"run", "[OPTION...] DIR -- COMMAND...",
                     "run a command in the environment DIR"},
    [COMMAND_VERIFY] = {"verify", "[OPTION...] DIR",
                        "compare DIR with its manifest, on every node"},
    [COMMAND_LIST] = {"list", "[OPTION...] [DIR...]",
                      "show what is staged below DIR, or in the usual places, on every node"},
    [COMMAND_CLEAN] = {"clean", "[OPTION...] DIR", "remove what stage made, on every node"},
};

const struct option_row option_table[] = {
    {"output", 'o', OPTION_TEXT, AT(output), 0, PACK, "FILE",
     "archive to write; the end of its name chooses the format"},
    {"exclude", 'x', OPTION_REPEATED, AT(exclude), 0, PACK, "PATTERN",
     "leave out names or paths that match (fnmatch)"},
    {"no-default-excludes", 0, OPTION_FLAG, AT(no_default_excludes), 0, PACK, NULL,
     "pack .git, caches and the like"},
    {"with-python", 0, OPTION_FLAG, AT(with_python), 0, PACK, NULL,
     "of a venv: pack its base interpreter, too"},
    {"dereference-outside", 0, OPTION_FLAG, AT(dereference_outside), 0, PACK, NULL,
     "pack what any symlink that leads out of PREFIX points to"},
    {"keep-outside", 0, OPTION_FLAG, AT(keep_outside), 0, PACK, NULL,
     "leave such symlinks, also where the environment needs them"},
    {"level", 'l', OPTION_NUMBER, AT(level), AT(level_given), PACK, "N", "compression level"},
    {"threads", 'j', OPTION_NUMBER, AT(threads), AT(threads_given), PACK, "N",
     "threads (default: cores)"},
    {"to", 'p', OPTION_TEXT, AT(dir), 0, STAGE, "DIR", "where the environment goes on every node"},
    {"file-list", 'f', OPTION_TEXT, AT(archive_list), 0, STAGE, "FILE",
     "stage the archives named in FILE, too, one per line"},
    {"allow-failed", 0, OPTION_NUMBER, AT(allow_failed), 0, STAGE, "N",
     "succeed even if up to N nodes fail"},
    {"failed-nodes", 0, OPTION_TEXT, AT(failed_nodes), 0, STAGE, "FILE",
     "write the names of failed nodes, one per line"},
    {"force", 0, OPTION_FLAG, AT(force), 0, STAGE | BIT(COMMAND_CLEAN), NULL,
     "replace another staged DIR; clean: remove added files too"},
    {"dry-run", 'n', OPTION_FLAG, AT(dry_run), 0, STAGE, NULL, "check everything, write nothing"},
    {"old-prefix", 0, OPTION_TEXT, AT(old_prefix), 0, STAGE, "DIR",
     "prefix in archives that pack did not make"},
    {"external-links", 0, OPTION_FLAG, AT(external_links), 0, STAGE, NULL,
     "accept absolute symlinks in such archives"},
    {"max-bytes", 0, OPTION_SIZE, AT(max_bytes), 0, STAGE, "SIZE",
     "limit for the unpacked bytes of an archive (K, M, G, T)"},
    {"max-files", 0, OPTION_NUMBER, AT(max_files), 0, STAGE, "N",
     "limit for the number of entries"},
    {"decompress", 0, OPTION_TEXT, AT(decompress), 0, STAGE, "WHERE",
     "where to decompress: once (rank 0), nodes, auto"},
    {"json", 0, OPTION_FLAG, AT(json), 0, STAGE | PACK, NULL, "print a summary as JSON"},
    {"time", 't', OPTION_FLAG, AT(timing), 0, STAGE, NULL, "print how long it took"},
    {"shell", 's', OPTION_TEXT, AT(shell), 0, BIT(COMMAND_ACTIVATE), "NAME",
     "bash, zsh, fish or csh (default: $SHELL)"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), 0, ANY, NULL, "print errors only"},
    {"verbose", 'v', OPTION_FLAG, AT(verbose), 0, ANY, NULL, "print more"},
};

#define ROWS (sizeof option_table / sizeof *option_table)
const size_t option_rows = ROWS;
enum { CODE_HELP = 1000, CODE_VERSION }; /* codes of options that are not in the table */

/* Reads "12" or, with `size`, "3G". False if it is not a number. */
static bool options_take_number(const char *text, bool size, uint64_t *out)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno) {
        return false;
    }
    const char *unit = size && *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    for (const char *u = units; unit != NULL && u <= unit; u++) {
        *out *= 1024;
    }
    return end[unit != NULL] == '\0';
}

static bool options_take_repeated(const char **list, const char *value)
{
    int n = 0;
    while (n < OPTIONS_LIST && list[n] != NULL) {
        n++;
    }
    if (n == OPTIONS_LIST) {
        return false;
    }
    list[n] = value;
    return true;
}

static bool options_store(struct settings *s, const struct option_row *r, const char *value)
{
    char *field = (char *)s + r->field;
    if (r->given) {
        *(bool *)((char *)s + r->given) = true;
    }
    switch (r->kind) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return true;
    case OPTION_TEXT:
        *(const char **)field = value;
        return true;
    case OPTION_NUMBER:
    case OPTION_SIZE:
        return options_take_number(value, r->kind == OPTION_SIZE, (uint64_t *)field);
    case OPTION_REPEATED:
        break;
    }
    return options_take_repeated((const char **)field, value);
}

static enum options_outcome options_complain(bool speak, const char *before, const char *what,
                                             const char *after)
{
    if (speak) {
        fprintf(stderr, "python-mpi-bcast: %s%s%s (see --help)\n", before, what, after);
    }
    return OPTIONS_WRONG;
}

static enum options_outcome options_complain_of_value(bool speak, const struct option_row *r,
                                                      const char *value)
{
    if (r->kind == OPTION_REPEATED) {
        return options_complain(speak, "--", r->name, " may be given 64 times only");
    }
    if (speak) {
        fprintf(stderr, "python-mpi-bcast: --%s=%s is not %s (see --help)\n", r->name, value,
                r->kind == OPTION_SIZE ? "a size such as 512M or 20G" : "a number");
    }
    return OPTIONS_WRONG;
}

/* Of one command, or of all. */
static void options_print_help(const struct settings *s)
{
    if (s->legacy) {
        help_print();
    } else {
        help_print_command(s->command);
    }
}

/* Makes getopt_long(3)'s two views of the table. For `run`, parsing must stop at the first word. */
static void options_make_tables(char *shorts, struct option *longs, bool stop)
{
    size_t n = 0;
    if (stop) {
        shorts[n++] = '+';
    }
    shorts[n++] = ':';
    for (size_t i = 0; i < ROWS; i++) {
        bool argument = option_table[i].kind != OPTION_FLAG;
        longs[i] = (struct option){option_table[i].name, argument ? required_argument : no_argument,
                                   NULL, (int)i};
        if (!option_table[i].letter) {
            continue;
        }
        shorts[n++] = (char)option_table[i].letter;
        if (argument) {
            shorts[n++] = ':';
        }
    }
    shorts[n++] = 'h';
    shorts[n] = '\0';
    longs[ROWS] = (struct option){"help", no_argument, NULL, CODE_HELP};
    longs[ROWS + 1] = (struct option){"version", no_argument, NULL, CODE_VERSION};
    longs[ROWS + 2] = (struct option){0};
}

static const struct option_row *options_row(int code)
{
    if (code >= 0 && code < (int)ROWS) {
        return &option_table[code];
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (option_table[i].letter == code) {
            return &option_table[i];
        }
    }
    return NULL;
}

static enum options_outcome options_take(struct settings *s, int argc, char **argv, bool speak)
{
    char shorts[3 * ROWS + 4];
    struct option longs[ROWS + 3];
    int code;
    options_make_tables(shorts, longs, s->command == COMMAND_RUN);
    opterr = 0;
    optind = 1;
    while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        const struct option_row *r = options_row(code);
        if (code == CODE_HELP || code == 'h' || code == CODE_VERSION) {
            if (speak && code == CODE_VERSION) {
                printf("python-mpi-bcast %s (fastimport)\n", version_number());
            } else if (speak) {
                options_print_help(s);
            }
            return OPTIONS_DONE;
        }
        if (code == ':') {
            return options_complain(speak, "", argv[optind - 1], " needs a value");
        }
        if (code == '?' || r == NULL) {
            return options_complain(speak, "", argv[optind - 1], " is not a known option");
        }
        if (!(r->commands & BIT(s->command))) {
            return options_complain(speak, "--", r->name, " does not belong to this command");
        }
        if (!options_store(s, r, optarg)) {
            return options_complain_of_value(speak, r, optarg);
        }
    }
    s->words = argv + optind;
    s->n_words = argc - optind;
    return OPTIONS_RUN;
}

static enum options_outcome options_check(const struct settings *s, bool speak)
{
    static const char *const places[] = {"auto", "once", "nodes"};
    bool known = s->decompress == NULL;
    for (int i = 0; i < 3 && !known; i++) {
        known = strcmp(s->decompress, places[i]) == 0;
    }
    if (!known) {
        return options_complain(speak, "--decompress ", s->decompress,
                                " is not one of auto, once, nodes");
    }
    if (s->command == COMMAND_STAGE && s->dir == NULL) {
        return options_complain(speak, "stage needs --to DIR", "", "");
    }
    if (s->command == COMMAND_STAGE && s->n_words == 0 && s->archive_list == NULL) {
        return options_complain(speak, "stage needs an archive", "", "");
    }
    if (s->command == COMMAND_PACK && (s->n_words != 1 || s->output == NULL)) {
        return options_complain(speak, "pack needs one PREFIX and -o FILE", "", "");
    }
    if (s->command == COMMAND_RUN && s->n_words < 2) {
        return options_complain(speak, "run needs DIR and a COMMAND", "", "");
    }
    if ((s->command == COMMAND_ACTIVATE || s->command == COMMAND_VERIFY ||
         s->command == COMMAND_CLEAN) &&
        s->n_words != 1) {
        return options_complain(speak, "", command_table[s->command].name, " needs one DIR");
    }
    return OPTIONS_RUN;
}

enum options_outcome options_parse(struct settings *s, int argc, char **argv, bool speak)
{
    int skip = 0;
    *s = (struct settings){.command = COMMAND_STAGE, .legacy = true};
    for (int c = 0; argc > 1 && c < COMMANDS; c++) {
        if (strcmp(argv[1], command_table[c].name) == 0) {
            s->command = (enum command)c;
            s->legacy = false;
            skip = 1;
        }
    }
    if (argc < 2) {
        return options_complain(speak, "a command is missing", "", "");
    }
    enum options_outcome out = options_take(s, argc - skip, argv + skip, speak);
    if (out == OPTIONS_RUN && s->legacy && s->dir == NULL) {
        return options_complain(speak, "", s->n_words ? s->words[0] : "this", " is not a command");
    }
    return out == OPTIONS_RUN ? options_check(s, speak) : out;
}
