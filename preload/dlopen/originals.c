/* SPDX-License-Identifier: BSD-3-Clause */
/* originals.c - see originals.h */
#include "dlopen/originals.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "cache/partial.h"

struct original_part {
    char *copy;       /* owned: the name under which ld.so knows the object */
    uint64_t address; /* relative to the object's base */
    size_t length;
    int protection;
    void *pages; /* NULL: placed */
};

/* --- before the dlopen --- */

static int protection_of(const Elf64_Phdr *h)
{
    return ((h->p_flags & PF_R) != 0 ? PROT_READ : 0) |
           ((h->p_flags & PF_W) != 0 ? PROT_WRITE : 0) | ((h->p_flags & PF_X) != 0 ? PROT_EXEC : 0);
}

static uint64_t page_mask(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE) - 1;
}

static struct original_part *new_part(struct originals *o, const char *copy)
{
    struct original_part *p;

    if (o->n == o->room) {
        size_t room = o->room == 0 ? 16 : 2 * o->room;
        struct original_part *more = realloc(o->parts, room * sizeof *more);

        if (more == NULL) {
            return NULL;
        }
        o->parts = more;
        o->room = room;
    }
    p = &o->parts[o->n];
    *p = (struct original_part){.copy = strdup(copy)};
    o->n += p->copy != NULL;
    return p->copy == NULL ? NULL : p;
}

/* The headers of the copy, which has the first bytes of the original. Returns their number, 0 if
 * they cannot be read. */
static int read_segments(const char *copy, Elf64_Phdr *segments, int most)
{
    int fd = sys_open(copy, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    Elf64_Ehdr e;
    int n = 0;

    if (fd >= 0 && sys_pread_all(fd, &e, sizeof e, 0) == sizeof e && e.e_phnum <= most &&
        e.e_phentsize == sizeof *segments &&
        sys_pread_all(fd, segments, e.e_phnum * sizeof *segments, (off_t)e.e_phoff) ==
            (ssize_t)(e.e_phnum * sizeof *segments)) {
        n = e.e_phnum;
    }
    if (fd >= 0) {
        sys_close(fd);
    }
    return n;
}

/* Is this the version of the file that the root has read? ctime tells a change that keeps the size
 * and sets mtime back. st_dev may differ between nodes. */
static bool is_version(const struct stat *a, const struct stat *b)
{
    return S_ISREG(a->st_mode) && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Opens the original. *fd stays -1 if that fails. */
static const char *open_original(const struct record *content, int *fd)
{
    const struct record_content *c = record_payload(content);
    struct stat st;

    *fd = sys_open(content->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (*fd < 0) {
        return "cannot be opened where it is";
    }
    return sys_fstat(*fd, &st) == 0 && is_version(&st, &c->st) ? NULL
                                                               : "has changed since it was read";
}

/* Maps one gap of a segment. */
static const char *add_gap(struct originals *o, const struct record *content, const Elf64_Phdr *h,
                           const struct record_extent *gap, const char *copy, int *fd)
{
    const char *why = *fd < 0 ? open_original(content, fd) : NULL;
    struct original_part *p;

    if (why != NULL) {
        return why;
    }
    if (h->p_memsz > h->p_filesz && /* ld.so writes zeros behind the end */
        gap->offset + gap->length > h->p_offset + h->p_filesz) {
        return "has an unusual layout";
    }
    p = new_part(o, copy);
    if (p == NULL) {
        return "has no memory";
    }
    p->address = h->p_vaddr - h->p_offset + gap->offset;
    p->length = (size_t)gap->length;
    p->protection = protection_of(h);
    p->pages = sys_mmap(p->length, p->protection, MAP_PRIVATE, *fd, (off_t)gap->offset);
    return p->pages == NULL ? "cannot be mapped where it is" : NULL;
}

/* Maps all gaps of a segment, in whole pages as ld.so does. */
static const char *add_segment(struct originals *o, const struct record *content,
                               const Elf64_Phdr *h, const char *copy, int *fd)
{
    struct extents parts = extents_of(content);
    uint64_t from = h->p_offset & ~page_mask();
    uint64_t to = (h->p_offset + h->p_filesz + page_mask()) & ~page_mask();
    uint64_t end = (uint64_t)((const struct record_content *)record_payload(content))->st.st_size;
    struct record_extent gap;
    const char *why = NULL;

    to = to < end ? to : end;
    while (why == NULL && extents_gap(&parts, from, to, &gap)) {
        why = add_gap(o, content, h, &gap, copy, fd);
        from = gap.offset + gap.length;
    }
    return why;
}

const char *originals_add(struct originals *o, const struct record *content, const char *copy)
{
    const struct record_content *c = record_payload(content);
    Elf64_Phdr segments[64];
    const char *why = NULL;
    int fd = -1;
    int n;

    if (c->n_extents == 0) {
        return NULL;
    }
    n = read_segments(copy, segments, 64);
    if (n == 0) {
        return "could not be read from the node cache";
    }
    for (int i = 0; i < n && why == NULL; i++) {
        if (segments[i].p_type == PT_LOAD && segments[i].p_filesz > 0) {
            why = add_segment(o, content, &segments[i], copy, &fd);
        }
    }
    if (fd >= 0) {
        sys_close(fd);
    }
    return why;
}

/* --- in the dlopen --- */

/* The kernel moves pages only where it can split mappings; the number of these is limited. If it
 * cannot, the bytes are copied: that needs memory and splits nothing, as it changes the protection
 * of the whole segment. */
static bool copy_pages(const struct dl_phdr_info *info, const struct original_part *p)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uint64_t from = h->p_vaddr & ~page_mask();
        uint64_t to = (h->p_vaddr + h->p_filesz + page_mask()) & ~page_mask();
        void *at = (char *)info->dlpi_addr + from;

        if (h->p_type != PT_LOAD || p->address < from || p->address + p->length > to) {
            continue;
        }
        if (sys_mprotect(at, to - from, PROT_READ | PROT_WRITE) != 0) {
            return false;
        }
        memcpy((char *)info->dlpi_addr + p->address, p->pages, p->length);
        return sys_mprotect(at, to - from, protection_of(h)) == 0;
    }
    return false;
}

static void place_part(const struct dl_phdr_info *info, struct original_part *p)
{
    char *to = (char *)info->dlpi_addr + p->address;

    if (sys_move_pages(p->pages, p->length, to) == 0) {
        p->pages = NULL;
        return;
    }
    if (!copy_pages(info, p)) {
        /* The object has zeros where it should have bytes, and ld.so cannot be stopped here. */
        fi_log(LOG_ERROR, "%s cannot be mapped: out of memory", p->copy);
        abort();
    }
    sys_munmap(p->pages, p->length);
    p->pages = NULL;
}

static int place_object(struct dl_phdr_info *info, size_t size, void *originals)
{
    const struct originals *o = originals;

    (void)size;
    for (size_t i = 0; i < o->n; i++) {
        if (o->parts[i].pages != NULL && info->dlpi_name != NULL &&
            strcmp(info->dlpi_name, o->parts[i].copy) == 0) {
            place_part(info, &o->parts[i]);
        }
    }
    return 0;
}

void originals_place(struct originals *o)
{
    if (o->n > 0) {
        dl_iterate_phdr(place_object, o);
    }
}

void originals_release(struct originals *o)
{
    for (size_t i = 0; i < o->n; i++) {
        if (o->parts[i].pages != NULL) {
            sys_munmap(o->parts[i].pages, o->parts[i].length);
        }
        free(o->parts[i].copy);
    }
    free(o->parts);
    *o = (struct originals){0};
}
