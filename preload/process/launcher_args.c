/* SPDX-License-Identifier: BSD-3-Clause */
/* launcher_args.c - see launcher_args.h */
#include "process/launcher_args.h"

#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/path.h"

static bool is_wanted;

void launcher_args_want(void)
{
    is_wanted = true;
}

/* Its run-time library: of Open MPI 4, and of 5. */
static int is_of_open_mpi(struct dl_phdr_info *info, size_t size, void *unused)
{
    const char *path = info->dlpi_name == NULL ? "" : info->dlpi_name;
    const char *name = path_name(path, strlen(path));

    (void)size, (void)unused;
    return strncmp(name, "libopen-rte.so", 14) == 0 || strncmp(name, "libprrte.so", 11) == 0;
}

static bool is_fastimport_variable(const char *assignment)
{
    return strncmp(assignment, "FASTIMPORT=", 11) == 0 ||
           strncmp(assignment, "FASTIMPORT_", 11) == 0;
}

/* Do the arguments say what to hand on? */
static bool is_arranged(int argc, char *const argv[], char *const environment[])
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "LD_PRELOAD", 10) == 0 ||
            strstr(argv[i], "mca_base_env_list") != NULL) {
            return true;
        }
    }
    return env_value(environment, "OMPI_MCA_mca_base_env_list") != NULL;
}

/* "-x NAME", without the value, which stays in the environment. */
static bool add_variable(char **words, int *n, const char *assignment)
{
    words[*n] = strdup("-x");
    words[*n + 1] = strndup(assignment, strcspn(assignment, "="));
    *n += 2;
    return words[*n - 2] != NULL && words[*n - 1] != NULL;
}

char **launcher_args_make(int argc, char *const argv[], char *const environment[], int *n)
{
    const char *preload = env_value(environment, "LD_PRELOAD");
    size_t variables = 0;
    char **words;
    bool complete;

    if (argc < 1 || preload == NULL || strstr(preload, "libfastimport") == NULL ||
        is_arranged(argc, argv, environment)) {
        return NULL;
    }
    for (char *const *e = environment; *e != NULL; e++) {
        variables += is_fastimport_variable(*e);
    }
    words = calloc((size_t)argc + 2 * variables + 3, sizeof *words);
    if (words == NULL) {
        return NULL;
    }
    *n = 1;
    complete = add_variable(words, n, "LD_PRELOAD=");
    for (char *const *e = environment; *e != NULL; e++) {
        complete = complete && (!is_fastimport_variable(*e) || add_variable(words, n, *e));
    }
    if (!complete) {
        free(words); /* the few words stay */
        return NULL;
    }
    words[0] = argv[0];
    for (int i = 1; i < argc; i++) {
        words[(*n)++] = argv[i];
    }
    return words;
}

void launcher_args_apply(int *argc, char ***argv)
{
    extern char **environ;
    char **words;
    int n;

    if (!is_wanted || dl_iterate_phdr(is_of_open_mpi, NULL) == 0) {
        return;
    }
    words = launcher_args_make(*argc, *argv, environ, &n);
    if (words != NULL) {
        *argc = n;
        *argv = words;
    }
}
