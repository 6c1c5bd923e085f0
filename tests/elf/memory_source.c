/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct memory_file *memory_source_find(struct memory_files *files, const char *path)
{
    for (size_t i = 0; i < files->n; i++)
        if (strcmp(files->files[i].path, path) == 0)
            return &files->files[i];
    return NULL;
}

static int memory_source_open_file(void *ctx, const char *path, struct fi_elf_bytes *out)
{
    struct memory_files *files = ctx;
    const struct memory_file *file = memory_source_find(files, path);
    files->opened++;
    if (!file || file->error)
        return file ? file->error : ENOENT;
    if (!file->data)
        return EISDIR;
    char *copy = malloc(file->size ? file->size : 1);
    if (!copy)
        return ENOMEM;
    memcpy(copy, file->data, file->size);
    *out = (struct fi_elf_bytes){copy, file->size, copy};
    files->still_open++;
    return 0;
}

static void memory_source_close_file(void *ctx, struct fi_elf_bytes *bytes)
{
    struct memory_files *files = ctx;
    files->still_open--;
    free(bytes->handle);
}

static int memory_source_identity(void *ctx, const char *path, unsigned long *dev,
                                  unsigned long *ino)
{
    struct memory_files *files = ctx;
    const struct memory_file *file = memory_source_find(files, path);
    if (!file)
        return -1;
    *dev = 1;
    *ino = file->ino ? file->ino : (unsigned long)(1000 + (file - files->files));
    return 0;
}

static int memory_source_is_dir(void *ctx, const char *path)
{
    const struct memory_files *files = ctx;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    for (size_t i = 0; i < files->n; i++) {
        const struct memory_file *file = &files->files[i];
        if (strncmp(file->path, path, length) != 0)
            continue;
        if (file->path[length] == '/' || (file->path[length] == '\0' && !file->data))
            return 1;
    }
    return 0;
}

void memory_source(struct memory_files *files, struct fi_elf_source *out)
{
    *out = (struct fi_elf_source){files, memory_source_open_file, memory_source_close_file,
                                  memory_source_identity, memory_source_is_dir};
}

struct memory_file *memory_add(struct memory_files *files, const char *path, const void *data,
                               size_t size)
{
    struct memory_file *file = &files->files[files->n++];
    *file = (struct memory_file){.path = path, .data = data, .size = size};
    return file;
}
