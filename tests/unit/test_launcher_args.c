/* SPDX-License-Identifier: BSD-3-Clause */
/* launcher_args: which variables Open MPI's launcher is told to hand on. */
#include "scratch.h"

#include <stdlib.h>
#include <string.h>

#include "process/launcher_args.h"

/* The words after mpiexec's, joined by spaces; NULL: they stay as they are. */
static const char *joined(char *const argv[], char *const environment[])
{
    static char text[1024];
    int argc = 0;
    int n = 0;
    char **words;

    while (argv[argc] != NULL) {
        argc++;
    }
    words = launcher_args_make(argc, argv, environment, &n);
    if (words == NULL) {
        return NULL;
    }
    assert_ptr_equal(words[0], argv[0]);
    assert_null(words[n]);
    text[0] = '\0';
    for (int i = 1; i < n; i++) {
        strcat(text, i > 1 ? " " : "");
        strcat(text, words[i]);
    }
    for (int i = 1; i <= n - argc; i++) {
        free(words[i]);
    }
    free(words);
    return text;
}

static void hands_on_ld_preload_and_settings(void **state)
{
    char *argv[] = {"mpiexec", "-n", "2", "python", NULL};
    char *alone[] = {"HOME=/root", "LD_PRELOAD=/sw/libfastimport.so", NULL};
    char *settings[] = {"FASTIMPORT=1", "FASTIMPORTS=x", "LD_PRELOAD=/sw/a.so:/sw/libfastimport.so",
                        "FASTIMPORT_LOG=info", NULL};

    (void)state;
    assert_string_equal(joined(argv, alone), "-x LD_PRELOAD -n 2 python");
    assert_string_equal(joined(argv, settings),
                        "-x LD_PRELOAD -x FASTIMPORT -x FASTIMPORT_LOG -n 2 python");
}

static void leaves_words_alone(void **state)
{
    char *argv[] = {"mpiexec", "-n", "2", "python", NULL};
    char *arranged[] = {"mpiexec", "-x", "LD_PRELOAD", "python", NULL};
    char *valued[] = {"mpiexec", "-x", "LD_PRELOAD=/sw/libfastimport.so", "python", NULL};
    char *listed[] = {"mpiexec", "--mca", "mca_base_env_list", "HOME", "python", NULL};
    char *nothing[] = {"HOME=/root", NULL};
    char *other[] = {"LD_PRELOAD=/usr/lib/libjemalloc.so", NULL};
    char *ours[] = {"LD_PRELOAD=/sw/libfastimport.so", NULL};
    char *in_environment[] = {"LD_PRELOAD=/sw/libfastimport.so", "OMPI_MCA_mca_base_env_list=HOME",
                              NULL};

    (void)state;
    assert_null(joined(argv, nothing));
    assert_null(joined(argv, other));
    assert_null(joined(arranged, ours));
    assert_null(joined(valued, ours));
    assert_null(joined(listed, ours));
    assert_null(joined(argv, in_environment));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_on_ld_preload_and_settings),
        cmocka_unit_test(leaves_words_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
