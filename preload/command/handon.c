/* SPDX-License-Identifier: BSD-3-Clause */
/* handon.c - see handon.h */
#include "command/handon.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"

static bool handon_is_ours(const char *assignment)
{
    return strncmp(assignment, "LD_PRELOAD=", 11) == 0 ||
           strncmp(assignment, "FASTIMPORT=", 11) == 0 ||
           strncmp(assignment, "FASTIMPORT_", 11) == 0;
}

/* The names of our variables, with commas between them. To be freed by the caller. */
static char *name_ours(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (f == NULL) {
        return NULL;
    }
    for (char **e = environ; *e != NULL; e++) {
        if (handon_is_ours(*e)) {
            fprintf(f, "%s%.*s", ftell(f) > 0 ? "," : "", (int)strcspn(*e, "="), *e);
        }
    }
    return fclose(f) == 0 ? text : NULL;
}

/* --- srun --- */

/* srun(1): ALL, NIL, NONE, or a list, in which ALL may stand, too. */
static bool exports_all(const char *value)
{
    return strcmp(value, "ALL") == 0 || strncmp(value, "ALL,", 4) == 0 ||
           strstr(value, ",ALL") != NULL;
}

/* The value with our variables added. NULL: no memory. */
static char *extend_export(const char *value)
{
    bool none = strcmp(value, "NONE") == 0 || strcmp(value, "NIL") == 0 || value[0] == '\0';
    char *ours = name_ours();
    char *more = NULL;

    if (ours == NULL || asprintf(&more, "%s%s%s", none ? "" : value, none ? "" : ",", ours) < 0) {
        more = NULL;
    }
    free(ours);
    return more;
}

/* Replaces the value of --export at words[i]. False: no memory. */
static bool replace_export(char **words, int i, bool joined)
{
    char *value = extend_export(joined ? words[i] + 9 : words[i + 1]);
    char *word = NULL;

    if (value == NULL) {
        return false;
    }
    if (!joined) {
        words[i + 1] = value;
        return true;
    }
    if (asprintf(&word, "--export=%s", value) >= 0) {
        words[i] = word;
    }
    free(value);
    return word != NULL;
}

static bool handon_srun(char **words)
{
    const char *exported = getenv("SLURM_EXPORT_ENV");
    char *value;
    bool set;

    for (int i = 1; words[i] != NULL; i++) {
        bool joined = strncmp(words[i], "--export=", 9) == 0;

        if (joined || (strcmp(words[i], "--export") == 0 && words[i + 1] != NULL)) {
            return exports_all(joined ? words[i] + 9 : words[i + 1]) ||
                   replace_export(words, i, joined);
        }
    }
    if (exported == NULL || exports_all(exported)) {
        return true;
    }
    value = extend_export(exported);
    set = value != NULL && setenv("SLURM_EXPORT_ENV", value, 1) == 0;
    free(value);
    return set;
}

/* --- mpiexec of hydra and PALS --- */

static bool is_restricted(char **words)
{
    static const char *const options[] = {"genvnone", "genvlist", "envnone", "envlist"};

    for (int i = 1; words[i] != NULL; i++) {
        const char *name = words[i] + strspn(words[i], "-");

        for (size_t o = 0; name > words[i] && o < sizeof options / sizeof *options; o++) {
            size_t n = strlen(options[o]);

            if (strncmp(name, options[o], n) == 0 && (name[n] == '\0' || name[n] == '=')) {
                return true;
            }
        }
    }
    return false;
}

/* A copy of the words with so many free places behind words[0]. */
static char **copy_words(char **words, size_t places)
{
    size_t n = 0;
    char **copy;

    while (words[n] != NULL) {
        n++;
    }
    copy = calloc(n + places + 1, sizeof *copy);
    if (copy != NULL) {
        copy[0] = words[0];
        memcpy(copy + 1 + places, words + 1, (n - 1) * sizeof *copy);
    }
    return copy;
}

/* "-genv NAME VALUE" for each variable. */
static char **handon_mpiexec(char **words)
{
    size_t n = 0;
    char **copy;

    if (!is_restricted(words)) {
        return words;
    }
    for (char **e = environ; *e != NULL; e++) {
        n += handon_is_ours(*e);
    }
    copy = copy_words(words, 3 * n);
    n = 1;
    for (char **e = environ; copy != NULL && *e != NULL; e++) {
        if (handon_is_ours(*e)) {
            copy[n++] = (char *)"-genv";
            copy[n++] = strndup(*e, strcspn(*e, "="));
            copy[n++] = strchr(*e, '=') + 1;
        }
    }
    return copy;
}

char **handon_words(char **words)
{
    const char *name = path_name(words[0], strlen(words[0]));

    if (strcmp(name, "srun") == 0) {
        return handon_srun(words) ? words : NULL;
    }
    if (strncmp(name, "mpiexec", 7) == 0 || strncmp(name, "mpirun", 6) == 0) {
        return handon_mpiexec(words);
    }
    return words;
}
