/* SPDX-License-Identifier: BSD-3-Clause */
#include "build_elf.h"

#include <elf.h>
#include <string.h>

#if defined __aarch64__
enum { MACHINE = EM_AARCH64, CACHE_FLAGS = 0x0a03 };
#else
enum { MACHINE = EM_X86_64, CACHE_FLAGS = 0x0303 };
#endif

/* ELF header, two program headers, dynamic section, strings. */
struct file {
    Elf64_Ehdr ehdr;
    Elf64_Phdr load, dynamic;
    Elf64_Dyn entries[BUILD_NEEDED_MAX + 8];
    char strings[4096];
};

struct builder {
    struct file *file;
    size_t n, strings;
};

static void build_elf_add(struct builder *builder, int64_t tag, uint64_t value)
{
    builder->file->entries[builder->n].d_tag = tag;
    builder->file->entries[builder->n++].d_un.d_val = value;
}

static void build_elf_add_string(struct builder *builder, int64_t tag, const char *text)
{
    if (!text)
        return;
    build_elf_add(builder, tag, builder->strings);
    strcpy(builder->file->strings + builder->strings, text);
    builder->strings += strlen(text) + 1;
}

static void fill_headers(struct file *file, size_t n, size_t size)
{
    file->ehdr = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                              .e_type = ET_DYN,
                              .e_machine = MACHINE,
                              .e_version = EV_CURRENT,
                              .e_phoff = offsetof(struct file, load),
                              .e_ehsize = sizeof(Elf64_Ehdr),
                              .e_phentsize = sizeof(Elf64_Phdr),
                              .e_phnum = 2};
    file->load =
        (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = size, .p_memsz = size};
    size_t at = offsetof(struct file, entries);
    file->dynamic = (Elf64_Phdr){.p_type = PT_DYNAMIC,
                                 .p_offset = at,
                                 .p_vaddr = at,
                                 .p_filesz = n * sizeof(Elf64_Dyn),
                                 .p_memsz = n * sizeof(Elf64_Dyn)};
}

size_t build_elf(uint8_t *out, const struct elf_spec *spec)
{
    struct file file = {0};
    struct builder builder = {&file, 0, 1};
    for (size_t i = 0; i < BUILD_NEEDED_MAX && spec->needed[i]; i++)
        build_elf_add_string(&builder, DT_NEEDED, spec->needed[i]);
    build_elf_add_string(&builder, DT_SONAME, spec->soname);
    build_elf_add_string(&builder, DT_RPATH, spec->rpath);
    build_elf_add_string(&builder, DT_RUNPATH, spec->runpath);
    build_elf_add_string(&builder, DT_AUXILIARY, spec->auxiliary);
    if (spec->flags_1)
        build_elf_add(&builder, DT_FLAGS_1, spec->flags_1);
    build_elf_add(&builder, DT_STRTAB, offsetof(struct file, strings));
    build_elf_add(&builder, DT_STRSZ, builder.strings);
    build_elf_add(&builder, DT_NULL, 0);
    size_t size = offsetof(struct file, strings) + builder.strings;
    fill_headers(&file, builder.n, size);
    memcpy(out, &file, size);
    return size;
}

struct cache_header {
    char magic[20];
    uint32_t n, strings_size;
    uint8_t flags, padding[3];
    uint32_t extension, unused[3];
};

struct cache_entry {
    uint32_t flags, key, value, osversion;
    uint64_t hwcap;
};

struct cache_extension {
    uint32_t magic, count, tag, flags, offset, size;
    uint32_t names[8];
};

static uint32_t build_elf_put_string(uint8_t *out, size_t *at, const char *text)
{
    uint32_t offset = (uint32_t)*at;
    strcpy((char *)out + *at, text);
    *at += strlen(text) + 1;
    return offset;
}

static size_t put_old(uint8_t *out)
{
    static const char old[16] = "ld.so-1.7.0";
    memcpy(out, old, sizeof old);
    return sizeof old;
}

static struct cache_entry build_elf_make_entry(uint8_t *out, size_t *at,
                                               const struct cache_line *line, uint32_t index)
{
    struct cache_entry entry = {.flags = line->flags ? line->flags : CACHE_FLAGS,
                                .hwcap = line->hwcap};
    entry.key = build_elf_put_string(out, at, line->name);
    entry.value = build_elf_put_string(out, at, line->path);
    if (line->hwcaps)
        entry.hwcap = UINT64_C(1) << 62 | (uint64_t)line->isa_level << 32 | index;
    return entry;
}

size_t build_cache(uint8_t *out, const struct cache_line *lines, size_t n, int with_old)
{
    size_t before = with_old ? put_old(out) : 0,
           at = sizeof(struct cache_header) + n * sizeof(struct cache_entry);
    uint8_t *base = out + before;
    struct cache_extension extension = {.magic = 0xeaa42174, .count = 1, .tag = 1};
    uint32_t names = 0;
    for (size_t i = 0; i < n; i++) {
        struct cache_entry entry = build_elf_make_entry(base, &at, &lines[i], names);
        if (lines[i].hwcaps)
            extension.names[names++] = build_elf_put_string(base, &at, lines[i].hwcaps);
        memcpy(base + sizeof(struct cache_header) + i * sizeof entry, &entry, sizeof entry);
    }
    at = (at + 7) & ~(size_t)7;
    extension.offset = (uint32_t)(before + at + offsetof(struct cache_extension, names));
    extension.size = names * (uint32_t)sizeof(uint32_t);
    struct cache_header header = {
        .magic = "", .n = (uint32_t)n, .flags = 2, .extension = (uint32_t)(before + at)};
    memcpy(header.magic, "glibc-ld.so.cache1.1", sizeof header.magic);
    memcpy(base, &header, sizeof header);
    memcpy(base + at, &extension, sizeof extension);
    return before + at + sizeof extension;
}
