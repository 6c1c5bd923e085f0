/* SPDX-License-Identifier: BSD-3-Clause */
#include "pack/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "archive/encoder.h"
#include "archive/name.h"
#include "base/io.h"
#include "manifest/manifest.h"
#include "pack/examine.h"
#include "pack/items.h"
#include "pack/python.h"

/* Left out by default: version control, caches of tools, and what NFS and editors leave. No Python
 * program imports these. */
static const char *const default_excludes[] = {
    ".git",  ".hg",       ".svn",       ".mypy_cache", ".pytest_cache", ".ruff_cache", ".cache",
    ".nfs*", ".DS_Store", "pkgs/cache", NULL};

struct packing {
    const struct pack_options *o;
    struct pack_result *result;
    char prefix[PATH_MAX], real[PATH_MAX]; /* as the user gave it, but absolute; without symlinks */
    struct items items;
    struct manifest_head head;
    struct python python;
    unsigned limited;
    const char **exclude;
    struct archive *tar;
    struct encoder *encoder;
    struct error write_fault; /* the encoder's, which libarchive passes on without details */
    char *temporary;
    int fd;
};

static bool pack_ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
}

static int pack_choose_framing(const char *out, enum framing *framing, struct error *err)
{
    if (pack_ends_with(out, ".tar.zst") || pack_ends_with(out, ".tzst")) {
        *framing = FRAMING_ZST;
    } else if (pack_ends_with(out, ".tar.gz") || pack_ends_with(out, ".tgz")) {
        *framing = FRAMING_GZ;
    } else if (pack_ends_with(out, ".tar")) {
        *framing = FRAMING_NONE;
    } else {
        return error_set(err, out, "the name must end with .tar.zst, .tar.gz or .tar");
    }
    return 0;
}

static const char *pack_kind_of(const char *prefix)
{
    char *venv = io_format("%s/pyvenv.cfg", prefix), *conda = io_format("%s/conda-meta", prefix);
    const char *kind = access(conda, F_OK) == 0 ? "conda" : "dir";
    if (access(venv, F_OK) == 0) {
        kind = "venv";
    }
    free(venv);
    free(conda);
    return kind;
}

static void pack_add_prefix(struct packing *p, const char *old, const char *subdir)
{
    for (int i = 0; i < p->head.prefixes; i++) {
        if (strcmp(p->head.prefix[i].old, old) == 0) {
            return;
        }
    }
    if (p->head.prefixes == MANIFEST_PREFIXES || strlen(old) < 2) {
        return;
    }
    p->head.prefix[p->head.prefixes].old = io_strdup(old);
    p->head.prefix[p->head.prefixes++].subdir = io_strdup(subdir);
}

/* Finds the prefix as the user names it, which is the name in the environment's files, and its real
 * path. */
static int pack_find_prefix(struct packing *p, struct error *err)
{
    char cwd[PATH_MAX] = "", normal[PATH_MAX];
    const char *given = p->o->prefix;
    if (realpath(given, p->real) == NULL) {
        return error_set_errno(err, given, "cannot read");
    }
    if (given[0] != '/' && getcwd(cwd, sizeof cwd) == NULL) {
        return error_set_errno(err, NULL, "cannot find out the current directory");
    }
    char *absolute = io_format("%s/%s", cwd, given);
    const char *start = absolute + strspn(absolute, "/");
    bool plain = name_normal(start, normal, sizeof normal - 1) == NULL;
    snprintf(p->prefix, sizeof p->prefix, "%s%.*s", plain ? "/" : "", PATH_MAX - 2,
             plain ? normal : p->real);
    free(absolute);
    pack_add_prefix(p, p->prefix, "");
    pack_add_prefix(p, p->real, "");
    return 0;
}

static int pack_find_python(struct packing *p, struct error *err)
{
    if (!p->o->with_python) {
        return 0;
    }
    if (strcmp(p->head.kind, "venv") != 0) {
        return error_set(err, p->o->prefix,
                         "--with-python is for virtual environments (no pyvenv.cfg here)");
    }
    if (python_find(p->prefix, &p->python, err) < 0) {
        return -1;
    }
    const char *const names[] = {p->python.prefix, p->python.named};
    bool one = strcmp(names[0], names[1]) == 0;
    for (size_t i = 0; i < (one ? 1 : 2); i++) {
        if (python_system_prefix(names[i])) {
            p->limited |= 1u << p->head.prefixes;
        }
        pack_add_prefix(p, names[i], PYTHON_BASE);
    }
    return 0;
}

static void pack_collect_excludes(struct packing *p)
{
    size_t n = 0, room = sizeof default_excludes / sizeof *default_excludes;
    for (const char *const *e = p->o->exclude; e != NULL && *e != NULL; e++) {
        room++;
    }
    p->exclude = io_alloc(room * sizeof *p->exclude);
    for (const char *const *e = default_excludes; *e != NULL && !p->o->no_default_excludes; e++) {
        p->exclude[n++] = *e;
    }
    for (const char *const *e = p->o->exclude; e != NULL && *e != NULL; e++) {
        p->exclude[n++] = *e;
    }
    p->items.exclude = p->exclude;
}

static int pack_collect(struct packing *p, struct error *err)
{
    struct items *it = &p->items;
    char *python = io_format("%s/bin/python", p->real), real[PATH_MAX];
    pack_collect_excludes(p);
    it->out = p->temporary;
    it->outside = p->o->dereference_outside ? OUTSIDE_FOLLOW
                  : p->o->keep_outside      ? OUTSIDE_KEEP
                                            : OUTSIDE_NEEDED;
    it->interpreter = realpath(python, real);
    free(python);
    int r = items_add_tree(it, p->real, "", err);
    if (r == 0 && p->o->with_python) {
        python_relink(&p->python, it);
        r = python_add(&p->python, it, err);
    }
    it->interpreter = NULL;
    return r;
}

/* Names the first link out whose target is packed. */
static void pack_name_outside(struct packing *p)
{
    char link[256], target[256];
    p->result->outside = p->items.n_outside;
    if (p->items.n_outside > 0) {
        error_printable(link, sizeof link, p->items.first_outside);
        error_printable(target, sizeof target, p->items.first_target);
        snprintf(p->result->first_outside, sizeof p->result->first_outside, "%s -> %s", link,
                 target);
    }
}

static void pack_sum_up(struct packing *p)
{
    for (size_t k = 0; k < p->items.n; k++) {
        const struct item *i = &p->items.list[k];
        if (i->dropped) {
            continue;
        }
        p->head.files += i->type != ENTRY_HARDLINK;
        if (i->type == ENTRY_FILE) {
            p->head.bytes += ((uint64_t)i->st.st_size + 4095) / 4096 * 4096;
            p->result->bytes += (uint64_t)i->st.st_size;
        }
        p->result->files++;
        p->result->relocatable += i->reloc[0] != '-';
        p->result->external += i->type == ENTRY_SYMLINK && i->link[0] == '/' && i->reloc[0] == '-';
    }
}

static struct record pack_record_of(const struct item *i)
{
    struct record r = {.sum = i->sum};
    r.entry = (struct entry){.type = i->type,
                             .path = i->path,
                             .link = i->link,
                             .mode = i->st.st_mode & 0777,
                             .mtime = i->st.st_mtim};
    r.entry.size = i->type == ENTRY_FILE ? (uint64_t)i->st.st_size : 0;
    memcpy(r.reloc, i->reloc, sizeof r.reloc);
    return r;
}

static la_ssize_t pack_to_encoder(struct archive *a, void *context, const void *bytes, size_t n)
{
    struct packing *p = context;
    if (encoder_write(p->encoder, bytes, n, &p->write_fault) == 0) {
        return (la_ssize_t)n;
    }
    archive_set_error(a, EIO, "%s", p->write_fault.reason);
    return -1;
}

static int pack_tar_failed(struct packing *p, const char *path, struct error *err)
{
    return error_set(err, path, "cannot archive: %s", archive_error_string(p->tar));
}

static int pack_put_header(struct packing *p, const struct record *r, struct error *err)
{
    static const mode_t types[] = {
        ['f'] = AE_IFREG, ['d'] = AE_IFDIR, ['l'] = AE_IFLNK, ['h'] = AE_IFREG};
    const struct entry *e = &r->entry;
    struct archive_entry *a = archive_entry_new();
    archive_entry_copy_pathname(a, *e->path ? e->path : "./");
    archive_entry_set_mode(a, types[e->type] | e->mode);
    archive_entry_set_mtime(a, e->mtime.tv_sec,
                            0); /* whole seconds; the manifest has the fraction */
    archive_entry_set_size(a, (la_int64_t)e->size);
    if (e->type == ENTRY_SYMLINK) {
        archive_entry_copy_symlink(a, e->link);
    }
    if (e->type == ENTRY_HARDLINK) {
        archive_entry_copy_hardlink(a, e->link);
    }
    int code = archive_write_header(p->tar, a);
    archive_entry_free(a);
    /* libarchive warns of a name that is not UTF-8. It stores the name as bytes
     * (hdrcharset=BINARY). */
    return code == ARCHIVE_OK || code == ARCHIVE_WARN ? 0 : pack_tar_failed(p, e->path, err);
}

static int pack_put_data(struct packing *p, const struct item *i, struct error *err)
{
    char *block = io_alloc(FRAME_PLAIN_MAX);
    XXH3_state_t *sum = XXH3_createState();
    uint64_t size = 0;
    ssize_t n = -1;
    int r = 0, fd = open(i->source, O_RDONLY | O_CLOEXEC);
    XXH3_64bits_reset(sum);
    while (r == 0 && fd >= 0 && (n = io_read(fd, block, FRAME_PLAIN_MAX)) > 0) {
        size += (uint64_t)n;
        XXH3_64bits_update(sum, block, (size_t)n);
        if (size <= (uint64_t)i->st.st_size && archive_write_data(p->tar, block, (size_t)n) != n) {
            r = pack_tar_failed(p, i->source, err);
        }
    }
    if (r == 0 && n < 0) {
        r = error_set_errno(err, i->source, "cannot read");
    }
    if (r == 0 && (size != (uint64_t)i->st.st_size || XXH3_64bits_digest(sum) != i->sum)) {
        r = error_set(err, i->source, "it changed while it was packed");
    }
    if (fd >= 0) {
        close(fd);
    }
    XXH3_freeState(sum);
    free(block);
    return r;
}

static int pack_put_manifest(struct packing *p, struct error *err)
{
    char *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);
    struct record own = {.entry = {.type = ENTRY_FILE, .path = NAME_MANIFEST, .mode = 0644}};
    struct manifest_writer *w = manifest_create(memory, &p->head);
    for (size_t k = 0; k < p->items.n; k++) {
        struct record r = pack_record_of(&p->items.list[k]);
        if (p->items.list[k].dropped) {
            continue;
        }
        manifest_add(w, &r);
        if (r.entry.mtime.tv_sec > own.entry.mtime.tv_sec) {
            own.entry.mtime = r.entry.mtime;
        }
    }
    int result = manifest_finish(w, err);
    fclose(memory);
    own.entry.size = n;
    if (result == 0) {
        result = pack_put_header(p, &own, err);
    }
    if (result == 0 && archive_write_data(p->tar, text, n) != (la_ssize_t)n) {
        result = pack_tar_failed(p, NAME_MANIFEST, err);
    }
    free(text);
    return result;
}

static int pack_put_items(struct packing *p, struct error *err)
{
    for (size_t k = 0; k < p->items.n; k++) {
        const struct item *i = &p->items.list[k];
        struct record r = pack_record_of(i);
        if (i->dropped) {
            continue;
        }
        if (pack_put_header(p, &r, err) < 0 ||
            (i->type == ENTRY_FILE && pack_put_data(p, i, err) < 0)) {
            return -1;
        }
    }
    return archive_write_close(p->tar) == ARCHIVE_OK ? 0 : pack_tar_failed(p, NULL, err);
}

static int pack_open_output(struct packing *p, enum framing framing, struct error *err)
{
    char real[PATH_MAX];
    uint64_t number; /* so that nobody can have put something there */
    if (getrandom(&number, sizeof number, 0) != sizeof number) {
        return error_set_errno(err, NULL, "cannot get a random number");
    }
    p->temporary = io_format("%s.partial-%016" PRIx64, p->o->out, number);
    p->fd = open(p->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (p->fd < 0) {
        return error_set_errno(err, p->temporary, "cannot create");
    }
    /* The real path, so that pack_collect() recognises it if it is inside the tree. */
    if (realpath(p->temporary, real) != NULL) {
        free(p->temporary);
        p->temporary = io_strdup(real);
    }
    p->encoder = encoder_open(framing, p->o->level, p->o->threads, p->fd);
    p->tar = archive_write_new();
    archive_write_set_format_pax_restricted(p->tar);
    archive_write_add_filter_none(p->tar);
    if (archive_write_open(p->tar, p, NULL, pack_to_encoder, NULL) != ARCHIVE_OK) {
        return pack_tar_failed(p, NULL, err);
    }
    return 0;
}

static int pack_close_output(struct packing *p, struct error *err)
{
    struct stat st;
    if (encoder_finish(p->encoder, err) < 0) {
        return -1;
    }
    if (fstat(p->fd, &st) < 0 || close(p->fd) < 0) {
        p->fd = -1;
        return error_set_errno(err, p->o->out, "cannot write");
    }
    p->fd = -1;
    p->result->stored = (uint64_t)st.st_size;
    return rename(p->temporary, p->o->out) < 0 ? error_set_errno(err, p->o->out, "cannot create")
                                               : 0;
}

static int pack_run(struct packing *p, enum framing framing, struct error *err)
{
    struct examine x = {&p->items, &p->head, 0, p->o->threads};
    if (pack_find_prefix(p, err) < 0) {
        return -1;
    }
    snprintf(p->head.kind, sizeof p->head.kind, "%s", pack_kind_of(p->real));
    snprintf(p->head.framing, sizeof p->head.framing, "%s", framing_name(framing));
    if (pack_find_python(p, err) < 0 || pack_open_output(p, framing, err) < 0 ||
        pack_collect(p, err) < 0) {
        return -1;
    }
    x.limited = p->limited;
    if (examine_items(&x, err) < 0) {
        return -1;
    }
    pack_sum_up(p);
    pack_name_outside(p);
    return pack_put_manifest(p, err) < 0 || pack_put_items(p, err) < 0 ||
                   pack_close_output(p, err) < 0
               ? -1
               : 0;
}

int pack_environment(const struct pack_options *o, struct pack_result *result, struct error *err)
{
    enum framing framing = FRAMING_NONE;
    struct packing p = {.o = o, .result = result, .fd = -1};
    *result = (struct pack_result){0};
    if (pack_choose_framing(o->out, &framing, err) < 0) {
        return -1;
    }
    int r = pack_run(&p, framing, err);
    archive_write_free(p.tar);
    encoder_close(p.encoder);
    if (p.fd >= 0) {
        close(p.fd);
    }
    if (r < 0 && p.temporary != NULL) {
        unlink(p.temporary);
    }
    free(p.temporary);
    free(p.exclude);
    items_free(&p.items);
    manifest_head_free(&p.head);
    python_free(&p.python);
    return r;
}
