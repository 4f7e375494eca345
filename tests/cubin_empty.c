/* SPDX-License-Identifier: Apache-2.0 */
#include "cubin_empty.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define SECTIONS_MAX 64
#define PARTS_MAX 16384

struct builder {
    unsigned char parts[PARTS_MAX]; /* behind the header */
    size_t used;
    char names[4096];
    size_t names_used;
    Elf64_Shdr sections[SECTIONS_MAX];
    unsigned count;
};

static void add_bytes(struct builder *builder, const void *data, size_t size) {
    ck_assert_uint_le(builder->used + size, PARTS_MAX);
    memcpy(builder->parts + builder->used, data, size);
    builder->used += size;
}

static Elf64_Shdr *add_section(struct builder *builder, const char *prefix, const char *name,
                               unsigned type) {
    Elf64_Shdr *section = &builder->sections[builder->count++];

    ck_assert_uint_le(builder->count, SECTIONS_MAX);
    section->sh_name = (unsigned)builder->names_used;
    section->sh_type = type;
    section->sh_offset = sizeof(Elf64_Ehdr) + builder->used;
    builder->names_used +=
        1 + (size_t)snprintf(builder->names + builder->names_used,
                             sizeof(builder->names) - builder->names_used, "%s%s", prefix, name);
    return section;
}

/* Attribute 0x17: index, ordinal, offset, and the size above 18 other bits. */
static void add_parameter(struct builder *builder, unsigned ordinal, unsigned offset,
                          unsigned size) {
    const unsigned char head[] = {4, 0x17, 12, 0, 0, 0, 0, 0, (unsigned char)ordinal, 0};
    const unsigned char place[] = {(unsigned char)offset, (unsigned char)(offset >> 8)};
    unsigned last = size << 18 | 0x1f000;

    add_bytes(builder, head, sizeof(head));
    add_bytes(builder, place, sizeof(place));
    add_bytes(builder, &last, sizeof(last));
}

static void add_info(struct builder *builder, const struct cubin_kernel *kernel) {
    Elf64_Shdr *section = add_section(builder, ".nv.info.", kernel->name, SHT_LOPROC);
    size_t begin = builder->used;
    unsigned offset = 0;

    for (unsigned i = 0; i < 8 && kernel->sizes[i]; i++) {
        unsigned alignment = kernel->sizes[i] < 8 ? kernel->sizes[i] : 8;

        offset = (offset + alignment - 1) / alignment * alignment;
        add_parameter(builder, i, offset, kernel->sizes[i]);
        offset += kernel->sizes[i];
    }
    if (kernel->max_threads) {
        const unsigned char head[] = {4, 5, 12, 0};
        const unsigned bounds[] = {kernel->max_threads, 1, 1};

        add_bytes(builder, head, sizeof(head));
        add_bytes(builder, bounds, sizeof(bounds));
    }
    section->sh_size = builder->used - begin;
}

static void add_kernel(struct builder *builder, const struct cubin_kernel *kernel) {
    Elf64_Shdr *text = add_section(builder, ".text.", kernel->name, SHT_PROGBITS);

    text->sh_info = kernel->registers << 24;
    add_info(builder, kernel);
    if (kernel->static_shared)
        add_section(builder, ".nv.shared.", kernel->name, SHT_NOBITS)->sh_size =
            kernel->static_shared;
}

void *cubin_of(int sm, const struct cubin_kernel *kernels, size_t count, size_t *ret_size) {
    struct builder *builder = calloc(1, sizeof(*builder));
    Elf64_Ehdr header = {.e_type = ET_EXEC, .e_machine = 190, .e_version = 1};
    Elf64_Shdr *names;
    unsigned char *data;

    ck_assert_ptr_nonnull(builder);
    add_section(builder, "", "", SHT_NULL);
    for (size_t i = 0; i < count; i++)
        add_kernel(builder, &kernels[i]);
    names = add_section(builder, ".shstrtab", "", SHT_STRTAB);
    names->sh_size = builder->names_used;
    add_bytes(builder, builder->names, builder->names_used);
    while (builder->used % 8)
        builder->used++;
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_OSABI] = 0x41;
    header.e_flags = (unsigned)sm << 8 | 0x6000004;
    header.e_ehsize = sizeof(header);
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = (unsigned short)builder->count;
    header.e_shstrndx = (unsigned short)(builder->count - 1);
    header.e_shoff = sizeof(header) + builder->used;
    *ret_size = header.e_shoff + builder->count * sizeof(Elf64_Shdr);
    data = calloc(1, *ret_size);
    ck_assert_ptr_nonnull(data);
    memcpy(data, &header, sizeof(header));
    memcpy(data + sizeof(header), builder->parts, builder->used);
    memcpy(data + header.e_shoff, builder->sections, builder->count * sizeof(Elf64_Shdr));
    free(builder);
    return data;
}

void *cubin_of_scale(int sm) {
    static const struct cubin_kernel SCALE = {.name = "scale", .sizes = {8, 4, 4}};
    size_t size;

    return cubin_of(sm, &SCALE, 1, &size);
}
