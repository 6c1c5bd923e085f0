/* library.c - see library.h */
#include "fill/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/linkmap.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "cache/mirror.h"
#include "elf/closure.h"

static struct {
    struct fill *fill;
    const struct policy *policy;
    const char *ld_library_path;
    fi_closure_compute_fn *compute;
    fi_closure_free_fn *release;
    /* what will be loaded when the plan's next library is: planned look-ups only, one thread at a time */
    struct fi_elf_loaded *expected;
    size_t n_expected;
    size_t room;
} library;

/* --- the companion -------------------------------------------------------------------------------------------------- */

/* libfastimport-elf.so stands beside libfastimport.so. */
static bool companion_name(char *out, size_t size)
{
    Dl_info info;
    size_t n;

    if (dladdr((void *)companion_name, &info) == 0 || info.dli_fname == NULL) {
        return false;
    }
    n = path_parent_length(info.dli_fname, strlen(info.dli_fname));
    return (size_t)snprintf(out, size, "%.*s/libfastimport-elf.so", (int)n, info.dli_fname) < size;
}

static bool open_companion(void)
{
    char name[FI_PATH_MAX];
    fi_closure_abi_fn *abi;
    void *handle;

#ifdef __SANITIZE_ADDRESS__
    return false; /* a second namespace cannot hold the sanitizer's runtime: it would end the program */
#endif
    if (!companion_name(name, sizeof name)) {
        return false;
    }
    handle = dlmopen(LM_ID_NEWLM, name, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        fi_log(LOG_WARN, "libraries are left to ld.so: %s", dlerror());
        return false;
    }
    abi = (fi_closure_abi_fn *)dlsym(handle, "fi_closure_abi");
    library.release = (fi_closure_free_fn *)dlsym(handle, "fi_closure_free");
    if (abi == NULL || abi() != FI_CLOSURE_ABI || library.release == NULL) {
        fi_log(LOG_WARN, "libraries are left to ld.so: %s is of another version", name);
        return false;
    }
    library.compute = (fi_closure_compute_fn *)dlsym(handle, "fi_closure_compute");
    return library.compute != NULL;
}

bool library_prepare(struct fill *fill, const struct policy *policy)
{
    const char *path = getenv("LD_LIBRARY_PATH");

    library.fill = fill;
    library.policy = policy;
    library.ld_library_path = path == NULL ? NULL : strdup(path);
    return open_companion();
}

/* --- how the search looks at files ------------------------------------------------------------------------------------ */

static bool is_ours(const char *path)
{
    return policy_verdict(library.policy, path, strlen(path)) == OURS;
}

static const struct record *cached(enum record_kind kind, uint64_t argument, const char *path)
{
    struct fi_query q = query_make(kind, argument, path, strlen(path));
    const struct record *r = segment_find(&library.fill->node->index, &q);

    if (r == NULL) {
        r = fill_search(library.fill, &q);
    }
    return r == NULL || (r->flags & RECORD_UNAVAILABLE) != 0 ? NULL : r;
}

static bool is_real_directory(void *context, const char *path, size_t length)
{
    const struct record *r = policy_verdict(library.policy, path, length) == OURS ? cached(RECORD_STAT, 0, path) : NULL;

    (void)context;
    return r != NULL && r->error == 0 && S_ISDIR(((const struct record_stat *)record_payload(r))->link.st_mode);
}

/* The name under which the node cache knows a path; false: it is not ours. One file has one name, so that the
 * "$ORIGIN/../../numpy.libs" of many modules is read once. */
static bool cache_name(const char *path, struct fi_path *name)
{
    return path_normalise(name, "/", path) && path_fold(name, is_real_directory, NULL) && is_ours(name->text);
}

/* What ld.so maps of a file; or all of it, if somebody has read it as a file already. */
static const struct record *cached_file(const char *path)
{
    struct fi_query whole = query_make(RECORD_CONTENT, 0, path, strlen(path));
    const struct record *r = segment_find(&library.fill->node->index, &whole);

    return r != NULL && (r->flags & RECORD_UNAVAILABLE) == 0 ? r : cached(RECORD_CONTENT, RECORD_MAPPED, path);
}

static int map_file(const char *name, struct fi_elf_bytes *out)
{
    struct stat st;
    int fd = sys_open(name, O_RDONLY | O_CLOEXEC, 0);
    int error = fd < 0 ? fd : sys_fstat(fd, &st);

    if (fd < 0) {
        return -fd;
    }
    if (error == 0 && !S_ISREG(st.st_mode)) {
        error = -EINVAL;
    }
    if (error == 0) {
        out->size = (size_t)st.st_size;
        out->data = out->size == 0 ? "" : sys_mmap(out->size, PROT_READ, MAP_PRIVATE, fd, 0);
        error = out->data == NULL ? -ENOMEM : 0;
    }
    sys_close(fd);
    return -error;
}

static int source_open(void *ctx, const char *path, struct fi_elf_bytes *out)
{
    char copy[FI_PATH_MAX + 512];
    struct fi_path name;
    const struct record *r = cache_name(path, &name) ? cached_file(name.text) : NULL;

    (void)ctx;
    if (r == NULL) {
        return map_file(path, out);
    }
    if (r->error != 0) {
        return r->error;
    }
    return mirror_path(library.fill->node, r->path, copy, sizeof copy) ? map_file(copy, out) : ENAMETOOLONG;
}

static void source_close(void *ctx, struct fi_elf_bytes *bytes)
{
    (void)ctx;
    if (bytes->size > 0) {
        sys_munmap((void *)bytes->data, bytes->size);
    }
}

/* stat of the original, without reading it. */
static int original_stat(const char *path, struct stat *st)
{
    struct fi_path name;
    const struct record *r = cache_name(path, &name) ? cached(RECORD_STAT, 0, name.text) : NULL;
    const struct record_stat *s;

    if (r == NULL) {
        return -sys_stat(path, st);
    }
    if (r->error != 0) {
        return r->error;
    }
    s = record_payload(r);
    *st = S_ISLNK(s->link.st_mode) ? s->target : s->link;
    return S_ISLNK(s->link.st_mode) ? s->stat_error : 0;
}

static int source_identity(void *ctx, const char *path, unsigned long *dev, unsigned long *ino)
{
    struct stat st;
    int error = original_stat(path, &st);

    (void)ctx;
    if (error == 0) {
        *dev = st.st_dev;
        *ino = st.st_ino;
    }
    return error;
}

static int source_is_dir(void *ctx, const char *path)
{
    struct stat st;

    (void)ctx;
    return original_stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* --- the request and the record ----------------------------------------------------------------------------------------- */

struct context {
    struct linkmap_list map;
    struct fi_elf_loaded *loaded;
    size_t n_loaded;
    struct fi_elf_loader executable;
    char program[FI_PATH_MAX];
};

/* The link map as it is now; with `planned`, as it will be: what the plan loads before comes behind it. */
static bool describe_process(struct context *c, bool planned)
{
    ssize_t n = sys_readlink("/proc/self/exe", c->program, sizeof c->program - 1);
    size_t more = planned ? library.n_expected : 0;

    c->program[n > 0 ? n : 0] = '\0';
    if (!linkmap_all(&c->map)) {
        return false;
    }
    c->loaded = calloc(c->map.n + more + 1, sizeof *c->loaded);
    if (c->loaded == NULL || c->map.n == 0) {
        return false;
    }
    for (size_t i = 0; i < c->map.n; i++) {
        const struct linkmap_object *o = &c->map.objects[i];

        c->loaded[i] = (struct fi_elf_loaded){o->name, i == 0 ? c->program : o->name, o->soname, NULL, 0, 0};
    }
    memcpy(c->loaded + c->map.n, library.expected, more * sizeof *c->loaded);
    c->n_loaded = c->map.n + more;
    c->executable = (struct fi_elf_loader){c->program, c->map.objects[0].rpath, c->map.objects[0].runpath,
                                           c->map.objects[0].nodeflib};
    return true;
}

/* The plan's next library will find these loaded. The strings live as long as the process. */
static void expect(const struct fi_closure *closure)
{
    for (size_t i = 0; i < closure->n_libs; i++) {
        const struct fi_closure_lib *l = &closure->libs[i];
        const char *path = l->already_loaded ? NULL : strdup(l->path);

        if (library.n_expected == library.room) {
            size_t room = library.room == 0 ? 256 : library.room * 2;
            struct fi_elf_loaded *more = realloc(library.expected, room * sizeof *more);

            if (more == NULL) {
                free((void *)path);
                return;
            }
            library.expected = more;
            library.room = room;
        }
        if (path != NULL) {
            library.expected[library.n_expected++] =
                (struct fi_elf_loaded){path, path, l->soname == NULL ? NULL : strdup(l->soname), NULL, 0, 0};
        }
    }
}

static size_t put_text(char *out, size_t at, const char *text)
{
    size_t n = strlen(text) + 1;

    if (out != NULL) {
        memcpy(out + at, text, n);
    }
    return at + n;
}

/* Writes the payload, or with out NULL only measures it. */
static size_t encode(const struct fi_closure *closure, char *out)
{
    size_t at = 0;

    for (size_t i = 0; i < closure->n_libs; i++) {
        const struct fi_closure_lib *l = &closure->libs[i];
        char letter[2] = {'@', '\0'};

        letter[0] = (char)('@' + (l->already_loaded ? LIBRARY_LOADED : 0) + (l->in_cycle ? LIBRARY_CYCLE : 0) +
                           (is_ours(l->path) ? LIBRARY_OURS : 0));
        at = put_text(out, at, letter) - 1;
        at = put_text(out, at, l->path);
        at = put_text(out, at, l->soname == NULL ? "" : l->soname);
        for (size_t k = 0; l->names[k] != NULL; k++) {
            at = put_text(out, at, l->names[k]);
        }
        at = put_text(out, at, "");
    }
    return at;
}

static const struct record *publish(struct node_cache *node, const struct fi_query *q, uint8_t flags,
                                    const struct fi_closure *closure)
{
    size_t size = closure == NULL ? 0 : encode(closure, NULL);
    struct record *r = segment_allocate(&node->index, q->length, size);

    if (r == NULL) {
        return NULL;
    }
    r->kind = RECORD_LIBRARY;
    r->argument = q->argument;
    r->flags = flags | (closure == NULL ? RECORD_UNAVAILABLE : 0);
    memcpy(r->path, q->path, q->length);
    if (closure != NULL) {
        encode(closure, (char *)record_payload(r));
    }
    record_seal(r);
    segment_publish(&node->index, r);
    return r;
}

static enum fi_closure_status compute(const char *path, bool planned, struct fi_closure *closure)
{
    struct fi_elf_source source = {NULL, source_open, source_close, source_identity, source_is_dir};
    struct context *c = calloc(1, sizeof *c);
    enum fi_closure_status status = FI_CLOSURE_NO_MEMORY;

    if (c != NULL && describe_process(c, planned)) {
        struct fi_closure_request request = {
            .path = path,
            .loaders = &c->executable,
            .n_loaders = 1,
            .loaded = c->loaded,
            .n_loaded = c->n_loaded,
            .ld_library_path = library.ld_library_path,
            .source = &source,
        };

        status = library.compute(&request, closure);
    }
    if (c != NULL) {
        free(c->loaded);
        free(c->map.objects);
        free(c);
    }
    return status;
}

const struct record *library_lookup(struct node_cache *node, const struct fi_query *q, uint8_t flags)
{
    struct fi_closure closure = {0};
    enum fi_closure_status status;
    const struct record *r;

    if (library.compute == NULL || (flags & RECORD_LOCAL) != 0) {
        return publish(node, q, flags, NULL);
    }
    status = compute(q->path, (flags & RECORD_PLANNED) != 0, &closure);
    if (status == FI_CLOSURE_OK && (flags & RECORD_PLANNED) != 0) {
        expect(&closure);
    }
    /* Before the program runs, a library may be missing that another will have brought by then: ask again. */
    if (status != FI_CLOSURE_OK && (flags & RECORD_PLANNED) != 0) {
        r = NULL;
    } else {
        r = publish(node, q, flags, status == FI_CLOSURE_OK ? &closure : NULL);
    }
    library.release(&closure);
    return r;
}

/* --- reading --------------------------------------------------------------------------------------------------------------- */

static const char *take_text(const struct record *r, size_t *at)
{
    const char *text = (const char *)record_payload(r) + *at;
    const char *end = memchr(text, '\0', r->payload_size - *at);

    if (end == NULL) {
        return NULL;
    }
    *at += (size_t)(end - text) + 1;
    return text;
}

bool library_next(const struct record *r, size_t *at, struct library_item *item)
{
    const char *text;

    if (*at >= r->payload_size) {
        return false;
    }
    text = take_text(r, at);
    item->soname = text == NULL || *at >= r->payload_size ? NULL : take_text(r, at);
    if (item->soname == NULL || text[0] == '\0' || *at >= r->payload_size) {
        return false;
    }
    item->bits = (unsigned)(text[0] - '@');
    item->path = text + 1;
    item->names = (const char *)record_payload(r) + *at;
    do {
        text = *at < r->payload_size ? take_text(r, at) : NULL;
    } while (text != NULL && text[0] != '\0');
    return text != NULL;
}

void library_mark_files(const struct segment *segment, const struct record *record)
{
    struct library_item item;
    struct fi_path name;
    size_t at = 0;

    while (library_next(record, &at, &item)) {
        struct fi_query q;
        const struct record *r;

        if ((item.bits & LIBRARY_OURS) == 0 || !cache_name(item.path, &name)) {
            continue;
        }
        q = query_make(RECORD_CONTENT, RECORD_MAPPED, name.text, name.length);
        r = segment_find(segment, &q);
        if (r != NULL) {
            record_mark_used(r);
        }
    }
}
