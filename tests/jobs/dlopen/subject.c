/* SPDX-License-Identifier: BSD-3-Clause */
/* subject.c - a program that loads libraries as its arguments say, and prints what can be seen of
 * them.
 *
 *   subject FOLDER OUT COMMAND...
 *
 * It writes to OUT.<rank>. It lists objects whose names hold FOLDER or the name of a node cache. A
 * line must be the same with and without the library. It exports Py_Initialize, by which the
 * library takes it for a Python. The commands:
 *
 *   open:FLAGS:NAME   dlopen; FLAGS are letters: L lazy, N now, G global, D deepbind, P nodelete,
 *                     O noload
 *   from:I:NAME       dlopen(NAME, RTLD_NOW) by open_from_here() of library I
 *   call:I:SYMBOL     calls int SYMBOL(void) of library I, and says where it is
 *   close:I           dlclose
 *   list              what is loaded, in order
 *   maps              what is mapped
 *   fork, exec        a child, or this program anew in a child, does the rest
 */
#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HANDLES = 32 };

void Py_Initialize(void);
void subject_constructor(const char *name, const char *file);

void Py_Initialize(void)
{
}

static FILE *out;
static const char *folder;
static void *handles[HANDLES];
static int n_handles;
static int n_arguments;

/* Libraries of the tests call this from their constructors and destructors. */
void subject_constructor(const char *name, const char *file)
{
    fprintf(out, "  runs %s of %s\n", name, file);
}

static int flags_of(const char *letters)
{
    static const struct {
        char letter;
        int flag;
    } known[] = {{'L', RTLD_LAZY},     {'N', RTLD_NOW},      {'G', RTLD_GLOBAL},
                 {'D', RTLD_DEEPBIND}, {'P', RTLD_NODELETE}, {'O', RTLD_NOLOAD}};
    int flags = 0;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        flags |= strchr(letters, known[i].letter) != NULL ? known[i].flag : 0;
    }
    return flags;
}

/* Says which of the earlier handles this is. */
static void subject_keep(const char *name, void *handle)
{
    int same = 0;

    if (handle == NULL) {
        const char *why = dlerror();

        fprintf(out, "%s: %s\n", name, why == NULL ? "NULL" : why);
    }
    while (handle != NULL && same < n_handles && handles[same] != handle) {
        same++;
    }
    if (handle != NULL) {
        fprintf(out, "%s: handle %d\n", name, same);
    }
    if (n_handles < HANDLES) {
        handles[n_handles++] = handle;
    }
}

static void subject_call(void *handle, const char *symbol)
{
    int (*function)(void) = handle == NULL ? NULL : (int (*)(void))dlsym(handle, symbol);
    Dl_info info = {0};

    if (function == NULL) {
        fprintf(out, "%s: %s\n", symbol, handle == NULL ? "no handle" : dlerror());
        return;
    }
    dladdr((void *)function, &info);
    fprintf(out, "%s: %d, from %s\n", symbol, function(), info.dli_fname);
}

static int list_one(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    if (strstr(info->dlpi_name, folder) != NULL ||
        strstr(info->dlpi_name, "/fastimport-") != NULL) {
        fprintf(out, "  loaded %s\n", info->dlpi_name);
    }
    return 0;
}

/* Mapped files of the folder, wherever their copies are: the name from the folder on. Where the
 * original is a symlink the kernel names its target, and of a copy its own name. */
static void list_maps(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[8192];
    char last[PATH_MAX] = "";

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        const char *name = strstr(line, folder);
        char real[PATH_MAX];

        line[strcspn(line, "\n")] = '\0';
        if (name != NULL && realpath(name, real) != NULL && strcmp(real, last) != 0) {
            fprintf(out, "  mapped %s\n", real);
            strcpy(last, real);
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
}

static void obey(char *command)
{
    char *verb = strtok(command, ":");
    char *first = strtok(NULL, ":");
    char *rest = strtok(NULL, "");
    int index = first != NULL ? abs(atoi(first)) % HANDLES : 0;
    void *handle = handles[index];

    first = first == NULL ? "" : first;
    rest = rest == NULL ? "" : rest;
    if (strcmp(verb, "list") == 0) {
        dl_iterate_phdr(list_one, NULL);
    } else if (strcmp(verb, "exit") == 0) {
        fprintf(out, "end\n");
        fclose(out);
        _exit(0);
    } else if (strcmp(verb, "maps") == 0) {
        list_maps();
    } else if (strcmp(verb, "open") == 0) {
        subject_keep(rest, dlopen(rest, flags_of(first)));
    } else if (strcmp(verb, "close") == 0) {
        fprintf(out, "close: %d\n", handle == NULL ? -1 : dlclose(handle));
        handles[index] = NULL; /* another may come to stand at its address */
    } else if (strcmp(verb, "call") == 0) {
        subject_call(handle, rest);
    } else if (strcmp(verb, "from") == 0 && handle != NULL) {
        void *(*open_from_here)(const char *, int) =
            (void *(*)(const char *, int))dlsym(handle, "open_from_here");

        subject_keep(rest, open_from_here == NULL ? NULL : open_from_here(rest, RTLD_NOW));
    } else {
        fprintf(out, "cannot %s\n", verb);
    }
}

/* True: this is a forked child, which goes on. */
static bool have_child(bool exec, char **argv, int done)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0 && exec) {
        memmove(argv + 3, argv + done, (size_t)(n_arguments - done + 1) * sizeof *argv);
        execv("/proc/self/exe", argv);
        _exit(3);
    }
    if (child == 0) {
        return true;
    }
    waitpid(child, &status, 0);
    fprintf(out, "child: %d\n", status);
    return false;
}

int main(int argc, char **argv)
{
    char name[4096];
    const char *rank = getenv("PMI_RANK");
    bool is_child = false;

    if (argc < 3) {
        return 2;
    }
    folder = argv[1];
    snprintf(name, sizeof name, "%s.%s", argv[2], rank == NULL ? "0" : rank);
    out = fopen(name, "a"); /* children go on in it */
    n_arguments = argc;
    if (out == NULL) {
        return 2;
    }
    setvbuf(out, NULL, _IOLBF, 0);
    for (int i = 3; i < argc; i++) {
        bool exec = strcmp(argv[i], "exec") == 0;

        if (!exec && strcmp(argv[i], "fork") != 0) {
            obey(argv[i]);
        } else if (have_child(exec, argv, i + 1)) {
            is_child = true;
        } else {
            break;
        }
    }
    fprintf(out, "end\n");
    if (is_child) { /* MPI and its end are the parent's */
        fclose(out);
        _exit(0);
    }
    return 0;
}
