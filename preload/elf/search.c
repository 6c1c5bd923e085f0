/* SPDX-License-Identifier: BSD-3-Clause */
/* search.c - see search.h */
#include "elf/search.h"

#include <errno.h>
#include <string.h>

#include "elf/dirs.h"
#include "elf/host.h"
#include "elf/ldcache.h"

#define LD_SO_CACHE "/etc/ld.so.cache"

/* A file that was found: its name and what ld.so reads of it. */
struct candidate {
    const char *path;
    struct fi_image image;
};

int fi_search_init(struct fi_search *search)
{
    const struct fi_closure_request *request = search->request;
    struct fi_pool *pool = search->pool;
    const char *origin = search->executable->origin;
    const char **env = fi_dirs_split(pool, request->host, request->ld_library_path, ":;", origin);
    if (env == NULL) {
        return 0;
    }
    search->host = request->host != NULL ? request->host : fi_host_detect(pool, fi_dirs_count(env));
    if (search->host == NULL) {
        return 0;
    }
    env = fi_dirs_split(pool, search->host, request->ld_library_path, ":;", origin);
    const char **system = fi_dirs_split(pool, search->host, search->host->system_dirs, ":", NULL);
    if (env == NULL || system == NULL) {
        return 0;
    }
    search->env_places = fi_dirs_places(pool, request, search->host, env);
    search->system_places = fi_dirs_places(pool, request, search->host, system);
    return search->env_places != NULL && search->system_places != NULL;
}

static enum fi_found verdict_to_found(enum fi_image_verdict verdict)
{
    switch (verdict) {
    case FI_IMAGE_OK:
        return FI_FOUND;
    case FI_IMAGE_OTHER_MACHINE:
        return FI_ABSENT;
    case FI_IMAGE_NO_MEMORY:
        return FI_NO_MEMORY;
    default:
        return FI_REFUSED;
    }
}

/* Opens a file and reads what ld.so reads of it. */
static enum fi_found try_file(struct fi_search *search, const char *path, struct candidate *out)
{
    const struct fi_elf_source *source = search->request->source;
    struct fi_elf_bytes bytes = {0};
    search->probed++;
    int error = source->open(source->ctx, path, &bytes);
    if (error == ENOENT || error == EACCES || error == ENOTDIR) {
        return FI_ABSENT;
    }
    enum fi_found found = FI_REFUSED;
    if (error == 0) {
        found = verdict_to_found(fi_image_read(search->pool, bytes.data, bytes.size, &out->image));
        source->close(source->ctx, &bytes);
    }
    out->path = path;
    if (found == FI_REFUSED) {
        search->culprit = path;
    }
    return found;
}

static enum fi_found try_places(struct fi_search *search, const char *const *places,
                                const char *name, struct candidate *out)
{
    for (; *places != NULL; places++) {
        const char *slash = (*places)[strlen(*places) - 1] == '/' ? "" : "/";
        const char *path = fi_pool_join(search->pool, *places, slash, name);
        enum fi_found found = path != NULL ? try_file(search, path, out) : FI_NO_MEMORY;
        if (found != FI_ABSENT) {
            return found;
        }
    }
    return FI_ABSENT;
}

/* Searches a DT_RPATH or DT_RUNPATH, whose directories are computed at first use. */
static enum fi_found try_own_path(struct fi_search *search, const struct fi_object *owner,
                                  const char *list, const char ***places, const char *name,
                                  struct candidate *out)
{
    if (list == NULL || *list == '\0') {
        return FI_ABSENT;
    }
    if (*places == NULL) {
        const char **dirs = fi_dirs_split(search->pool, search->host, list, ":", owner->origin);
        *places =
            dirs != NULL ? fi_dirs_places(search->pool, search->request, search->host, dirs) : NULL;
    }
    return *places != NULL ? try_places(search, *places, name, out) : FI_NO_MEMORY;
}

static enum fi_found try_rpath(struct fi_search *search, struct fi_object *owner, const char *name,
                               struct candidate *out)
{
    return try_own_path(search, owner, owner->image.rpath, &owner->rpath_places, name, out);
}

/* Searches the RPATHs from the loader up to the object that was dlopened, then that of the
 * executable; none if the loader has a RUNPATH. */
static enum fi_found try_rpaths(struct fi_search *search, struct fi_object *loader,
                                const char *name, struct candidate *out)
{
    if (loader->image.runpath != NULL) {
        return FI_ABSENT;
    }
    int did_executable = 0;
    for (struct fi_object *owner = loader; owner != NULL; owner = owner->loader) {
        enum fi_found found = try_rpath(search, owner, name, out);
        if (found != FI_ABSENT) {
            return found;
        }
        did_executable |= owner == search->executable;
    }
    return did_executable ? FI_ABSENT : try_rpath(search, search->executable, name, out);
}

/* With DF_1_NODEFLIB a file of a default directory from the cache does not count. */
static int in_system_dirs(struct fi_search *search, const char *path)
{
    const char **dirs =
        fi_dirs_split(search->pool, search->host, search->host->system_dirs, ":", NULL);
    for (; dirs != NULL && *dirs != NULL; dirs++) {
        if (strncmp(path, *dirs, strlen(*dirs)) == 0) {
            return 1;
        }
    }
    return 0;
}

static enum fi_found lookup_cache(struct fi_search *search, const char *name, const char **path)
{
    const struct fi_elf_source *source = search->request->source;
    struct fi_elf_bytes bytes = {0};
    const char *cached = NULL;
    search->probed++;
    if (source->open(source->ctx, LD_SO_CACHE, &bytes) != 0) {
        return FI_ABSENT;
    }
    enum fi_ldcache_answer answer =
        fi_ldcache_lookup(bytes.data, bytes.size, name, search->host->subdirs, &cached);
    *path = answer == FI_LDCACHE_FOUND ? fi_pool_strdup(search->pool, cached) : NULL;
    source->close(source->ctx, &bytes);
    if (answer == FI_LDCACHE_UNSURE) {
        return FI_UNSURE;
    }
    if (answer == FI_LDCACHE_ABSENT) {
        return FI_ABSENT;
    }
    return *path != NULL ? FI_FOUND : FI_NO_MEMORY;
}

static enum fi_found try_cache(struct fi_search *search, const struct fi_object *loader,
                               const char *name, struct candidate *out)
{
    const char *path = NULL;
    enum fi_found found = lookup_cache(search, name, &path);
    if (found != FI_FOUND) {
        return found;
    }
    if (loader->image.nodeflib && in_system_dirs(search, path)) {
        return FI_ABSENT;
    }
    return try_file(search, path, out);
}

/* The whole search for a library by name (without a slash), in ld.so's order. */
static enum fi_found search_by_name(struct fi_search *search, struct fi_object *loader,
                                    const char *name, struct candidate *out)
{
    enum fi_found found = try_rpaths(search, loader, name, out);
    if (found == FI_ABSENT) {
        found = try_places(search, search->env_places, name, out);
    }
    if (found == FI_ABSENT) {
        found =
            try_own_path(search, loader, loader->image.runpath, &loader->runpath_places, name, out);
    }
    if (found == FI_ABSENT) {
        found = try_cache(search, loader, name, out);
    }
    if (found == FI_ABSENT && !loader->image.nodeflib) {
        found = try_places(search, search->system_places, name, out);
    }
    return found;
}

/* A name with a slash is a path. Its tokens have been replaced. A file for another machine is an
 * error here. */
static enum fi_found open_path(struct fi_search *search, const char *name, struct candidate *out)
{
    if (name[0] != '/' && search->request->cwd == NULL) {
        return FI_ABSENT;
    }
    const char *path = fi_absolute(search->pool, search->request->cwd, name);
    return path != NULL ? try_file(search, path, out) : FI_NO_MEMORY;
}

/* The object for a file that was found: an existing one of the same identity, or a new one. */
static enum fi_found search_enter(struct fi_search *search, const struct candidate *file,
                                  struct fi_object **out)
{
    const struct fi_elf_source *source = search->request->source;
    struct fi_object made = {.identity_asked = 1};
    made.has_identity = source->identity(source->ctx, file->path, &made.dev, &made.ino) == 0;
    *out = fi_objects_by_identity(search, &made);
    if (*out != NULL) {
        return FI_FOUND;
    }
    *out = fi_objects_add(search, file->path, &file->image);
    if (*out == NULL) {
        return FI_NO_MEMORY;
    }
    (*out)->has_identity = made.has_identity;
    (*out)->identity_asked = 1;
    (*out)->dev = made.dev;
    (*out)->ino = made.ino;
    return FI_FOUND;
}

enum fi_found fi_search_map(struct fi_search *search, struct fi_object *loader, const char *name,
                            struct fi_object **out)
{
    struct candidate file = {0};
    const char *expanded = name;
    if (strchr(name, '$') != NULL) {
        expanded = fi_dst_expand(search->pool, search->host, name, loader->origin);
    }
    if (expanded == NULL) {
        return FI_NO_MEMORY;
    }
    enum fi_found found = FI_FOUND;
    *out = fi_objects_by_name(search, expanded);
    if (*out == NULL) {
        found = strchr(expanded, '/') != NULL ? open_path(search, expanded, &file)
                                              : search_by_name(search, loader, expanded, &file);
        if (found == FI_FOUND) {
            found = search_enter(search, &file, out);
        }
    }
    if (found == FI_FOUND && !fi_object_add_name(search, *out, expanded)) {
        found = FI_NO_MEMORY;
    }
    if (found == FI_ABSENT || found == FI_UNSURE) {
        search->culprit = name;
    }
    return found;
}
