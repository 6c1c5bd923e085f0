/* SPDX-License-Identifier: BSD-3-Clause */
/* image.c - see image.h */
#include "elf/image.h"

#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#if defined __x86_64__
#define HOST_MACHINE EM_X86_64
#elif defined __aarch64__
#define HOST_MACHINE EM_AARCH64
#elif defined __powerpc64__
#define HOST_MACHINE EM_PPC64
#else
#define HOST_MACHINE EM_NONE /* no file matches, so every library is left to ld.so */
#endif

enum { MAX_NEEDED = 65536, MAX_GNU_ABIVERSION = 4 };

/* A file while it is being read. */
struct image_file {
    struct fi_pool *pool;
    const char *data;
    size_t size;
    Elf *elf;
    GElf_Ehdr ehdr;
    uint64_t strtab, strsz; /* address and size of the dynamic string table */
};

/* The checks are in ld.so's order: the first one that fails decides whether ld.so skips the file or
 * reports an error. */
static enum fi_image_verdict check_ident(const unsigned char *ident)
{
    if (memcmp(ident, ELFMAG, SELFMAG) != 0) {
        return FI_IMAGE_BAD;
    }
    if (ident[EI_CLASS] != ELFCLASS64) {
        return FI_IMAGE_OTHER_MACHINE;
    }
    if (ident[EI_DATA] != (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)) {
        return FI_IMAGE_BAD;
    }
    if (ident[EI_VERSION] != EV_CURRENT) {
        return FI_IMAGE_BAD;
    }
    if (ident[EI_OSABI] != ELFOSABI_SYSV && ident[EI_OSABI] != ELFOSABI_GNU) {
        return FI_IMAGE_BAD;
    }
    if (ident[EI_ABIVERSION] != 0 &&
        (ident[EI_OSABI] != ELFOSABI_GNU || ident[EI_ABIVERSION] >= MAX_GNU_ABIVERSION)) {
        return FI_IMAGE_BAD;
    }
    for (int i = EI_PAD; i < EI_NIDENT; i++) {
        if (ident[i] != 0) {
            return FI_IMAGE_BAD;
        }
    }
    return FI_IMAGE_OK;
}

static enum fi_image_verdict check_header(struct image_file *file)
{
    Elf64_Ehdr ehdr;
    if (file->size < sizeof ehdr) {
        return FI_IMAGE_BAD;
    }
    memcpy(&ehdr, file->data, sizeof ehdr);
    enum fi_image_verdict verdict = check_ident(ehdr.e_ident);
    if (verdict != FI_IMAGE_OK) {
        return verdict;
    }
    if (ehdr.e_version != EV_CURRENT) {
        return FI_IMAGE_BAD;
    }
    if (ehdr.e_machine != HOST_MACHINE) {
        return FI_IMAGE_OTHER_MACHINE;
    }
    if (ehdr.e_type != ET_DYN || ehdr.e_phentsize != sizeof(Elf64_Phdr)) {
        return FI_IMAGE_BAD;
    }
    if (ehdr.e_phoff > file->size ||
        (file->size - ehdr.e_phoff) / sizeof(Elf64_Phdr) < ehdr.e_phnum) {
        return FI_IMAGE_BAD;
    }
    return FI_IMAGE_OK;
}

/* Finds the bytes that are mapped at an address: their offset in the file, and the number of bytes
 * from there to the end of the segment. Returns 0 if there are none. */
static int image_locate(struct image_file *file, uint64_t address, uint64_t *offset,
                        uint64_t *length)
{
    for (int i = 0; i < file->ehdr.e_phnum; i++) {
        GElf_Phdr phdr;
        if (gelf_getphdr(file->elf, i, &phdr) == NULL || phdr.p_type != PT_LOAD) {
            continue;
        }
        if (address < phdr.p_vaddr || address - phdr.p_vaddr >= phdr.p_filesz) {
            continue;
        }
        uint64_t skip = address - phdr.p_vaddr;
        if (phdr.p_offset > file->size || file->size - phdr.p_offset < phdr.p_filesz) {
            return 0;
        }
        *offset = phdr.p_offset + skip;
        *length = phdr.p_filesz - skip;
        return 1;
    }
    return 0;
}

/* Finds the dynamic section by its address, as ld.so does. Returns the number of entries, 0 if
 * there is none. */
static size_t find_dynamic(struct image_file *file, uint64_t *offset)
{
    size_t entries = 0;
    for (int i = 0; i < file->ehdr.e_phnum; i++) {
        GElf_Phdr phdr;
        uint64_t length;
        if (gelf_getphdr(file->elf, i, &phdr) == NULL || phdr.p_type != PT_DYNAMIC) {
            continue;
        }
        if (!image_locate(file, phdr.p_vaddr, offset, &length)) {
            return 0;
        }
        entries = (phdr.p_filesz < length ? phdr.p_filesz : length) / sizeof(Elf64_Dyn);
    }
    return entries;
}

static Elf64_Dyn dynamic_entry(const struct image_file *file, uint64_t offset, size_t i)
{
    Elf64_Dyn entry;
    memcpy(&entry, file->data + offset + i * sizeof entry, sizeof entry);
    return entry;
}

/* Copies a string of the dynamic string table. NULL if it is not completely inside, or memory is
 * short. */
static const char *image_string_at(struct image_file *file, uint64_t index)
{
    uint64_t offset, length;
    if (index >= file->strsz || file->strtab > UINT64_MAX - index) {
        return NULL;
    }
    if (!image_locate(file, file->strtab + index, &offset, &length)) {
        return NULL;
    }
    if (length > file->strsz - index) {
        length = file->strsz - index;
    }
    const char *text = file->data + offset;
    const char *end = memchr(text, '\0', length);
    return end != NULL ? fi_pool_strndup(file->pool, text, end - text) : NULL;
}

static int add_needed(struct image_file *file, const Elf64_Dyn *entry, struct fi_image *out)
{
    const char *name = image_string_at(file, entry->d_un.d_val);
    if (name == NULL || strlen(name) >= PATH_MAX || out->n_needed >= MAX_NEEDED) {
        return 0;
    }
    out->needed = fi_pool_append(file->pool, out->needed, out->n_needed, name);
    if (out->needed == NULL) {
        return 0;
    }
    out->n_needed++;
    if (entry->d_tag != (Elf64_Sxword)DT_AUXILIARY) {
        return 1;
    }
    out->optional = fi_pool_append(file->pool, out->optional, out->n_optional, name);
    if (out->optional == NULL) {
        return 0;
    }
    out->n_optional++;
    return 1;
}

/* ld.so's dlopen refuses executables, and libraries that ask not to be dlopened. */
static int check_flags(uint64_t flags, struct fi_image *out)
{
    out->nodeflib = (flags & DF_1_NODEFLIB) != 0;
    return (flags & (DF_1_PIE | DF_1_NOOPEN)) == 0;
}

static int image_read_entry(struct image_file *file, const Elf64_Dyn *entry, struct fi_image *out)
{
    switch (entry->d_tag) {
    case DT_NEEDED:
    case DT_FILTER:
    case DT_AUXILIARY:
        return add_needed(file, entry, out);
    case DT_SONAME:
        return (out->soname = image_string_at(file, entry->d_un.d_val)) != NULL;
    case DT_RPATH:
        return (out->rpath = image_string_at(file, entry->d_un.d_val)) != NULL;
    case DT_RUNPATH:
        return (out->runpath = image_string_at(file, entry->d_un.d_val)) != NULL;
    case DT_FLAGS_1:
        return check_flags(entry->d_un.d_val, out);
    default:
        return 1;
    }
}

/* Two passes, since the string table may come after the names that need it. */
static enum fi_image_verdict read_dynamic(struct image_file *file, struct fi_image *out)
{
    uint64_t offset = 0;
    size_t n = find_dynamic(file, &offset);
    if (n == 0) {
        return FI_IMAGE_BAD;
    }
    for (size_t i = 0; i < n; i++) {
        Elf64_Dyn entry = dynamic_entry(file, offset, i);
        if (entry.d_tag == DT_NULL) {
            n = i;
        } else if (entry.d_tag == DT_STRTAB) {
            file->strtab = entry.d_un.d_ptr;
        } else if (entry.d_tag == DT_STRSZ) {
            file->strsz = entry.d_un.d_val;
        }
    }
    for (size_t i = 0; i < n; i++) {
        Elf64_Dyn entry = dynamic_entry(file, offset, i);
        if (!image_read_entry(file, &entry, out)) {
            return FI_IMAGE_BAD;
        }
    }
    if (out->runpath != NULL) {
        out->rpath = NULL;
    }
    return FI_IMAGE_OK;
}

enum fi_image_verdict fi_image_read(struct fi_pool *pool, const void *data, size_t size,
                                    struct fi_image *out)
{
    struct image_file file = {.pool = pool, .data = data, .size = size};
    *out = (struct fi_image){0};
    enum fi_image_verdict verdict = check_header(&file);
    if (verdict != FI_IMAGE_OK) {
        return verdict;
    }
    elf_version(EV_CURRENT);
    file.elf = elf_memory((char *)(uintptr_t)data, size); /* libelf only reads it */
    if (file.elf == NULL) {
        return FI_IMAGE_NO_MEMORY;
    }
    verdict = gelf_getehdr(file.elf, &file.ehdr) != NULL ? read_dynamic(&file, out) : FI_IMAGE_BAD;
    elf_end(file.elf);
    return verdict;
}
