/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernel_params.h"

#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"

#ifndef EM_CUDA
#define EM_CUDA 190
#endif

#define INFO_PREFIX ".nv.info."
#define TEXT_PREFIX ".text."
/* Each takes a byte at least. */
#define PARAMS_MAX KERNEL_PARAM_BYTES_MAX

enum format { FORMAT_NVAL = 1, FORMAT_BVAL = 2, FORMAT_HVAL = 3, FORMAT_SVAL = 4 };

enum attribute {
    ATTRIBUTE_PARAM_CBANK = 0x0a,
    ATTRIBUTE_KPARAM_INFO = 0x17,
    ATTRIBUTE_CBANK_PARAM_SIZE = 0x19,
    ATTRIBUTE_KPARAM_INFO_V2 = 0x45,
};

/* A run of bytes within the cubin. */
struct span {
    const unsigned char *data;
    size_t size;
};

static int corrupt(struct cubby_error *error, const char *what) {
    return error_set(error, CUBBY_ERR_CORRUPT, "the cubin is damaged: %s", what);
}

static uint16_t get16(const unsigned char *at) {
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t get32(const unsigned char *at) {
    return get16(at) | (uint32_t)get16(at + 2) << 16;
}

/* ---- ELF --------------------------------------------------------------------------------- */

struct elf {
    struct span file;
    const unsigned char *sections; /* the table; its entries may lie at any address */
    size_t section_count;
    struct span names;
};

static bool part_of(struct span whole, uint64_t offset, uint64_t size, struct span *ret_part) {
    if (offset > whole.size || size > whole.size - offset)
        return false;
    *ret_part = (struct span){whole.data + offset, (size_t)size};
    return true;
}

static Elf64_Shdr section_at(const struct elf *elf, size_t index) {
    Elf64_Shdr section;

    memcpy(&section, elf->sections + index * sizeof(section), sizeof(section));
    return section;
}

/* The name of a section, "" where it has none that ends. */
static const char *section_name(const struct elf *elf, const Elf64_Shdr *section) {
    if (section->sh_name >= elf->names.size)
        return "";
    return (const char *)elf->names.data + section->sh_name;
}

static int elf_open(const void *data, size_t size, struct elf *ret_elf, struct cubby_error *error) {
    struct elf elf = {.file = {data, size}};
    struct span table;
    Elf64_Ehdr header;
    Elf64_Shdr names;

    if (!data || size < sizeof(header))
        return corrupt(error, "it is shorter than the header of an ELF file");
    memcpy(&header, data, sizeof(header));
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_CUDA)
        return corrupt(error, "it is no 64-bit ELF file for a GPU");
    if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum ||
        !part_of(elf.file, header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr), &table))
        return corrupt(error, "its table of sections lies outside of it");
    elf.sections = table.data;
    elf.section_count = header.e_shnum;
    names = section_at(&elf, header.e_shstrndx);
    if (names.sh_type != SHT_STRTAB ||
        !part_of(elf.file, names.sh_offset, names.sh_size, &elf.names) || elf.names.size == 0 ||
        elf.names.data[elf.names.size - 1] != '\0')
        return corrupt(error, "the names of its sections lie outside of it");
    *ret_elf = elf;
    return 0;
}

/* The section whose name is the prefix and the kernel's; false where there is none. */
static bool find_section(const struct elf *elf, const char *prefix, const char *kernel,
                         Elf64_Shdr *ret_section) {
    size_t length = strlen(prefix);

    for (size_t i = 0; i < elf->section_count; i++) {
        Elf64_Shdr section = section_at(elf, i);
        const char *name = section_name(elf, &section);

        if (strncmp(name, prefix, length) == 0 && strcmp(name + length, kernel) == 0) {
            *ret_section = section;
            return true;
        }
    }
    return false;
}

/* ---- Attributes -------------------------------------------------------------------------- */

/* What the attributes of one kernel say. */
struct reading {
    struct kernel_param *items; /* by ordinal, owned */
    bool *seen;                 /* which of them are known, owned */
    size_t capacity;            /* of both */
    size_t count;               /* of those known */
    size_t highest;             /* ordinal and one more */
    bool has_bytes;
    uint32_t bytes;
};

/* Cuts the next attribute off; false where what is left is none. A short value stands where the
 * length of a long one would. */
static bool next_attribute(struct span *left, unsigned *ret_format, unsigned *ret_attribute,
                           struct span *ret_value) {
    unsigned format;
    size_t length = 0;

    if (left->size < 4)
        return false;
    format = left->data[0];
    if (format < FORMAT_NVAL || format > FORMAT_SVAL)
        return false;
    *ret_format = format;
    *ret_attribute = left->data[1];
    *ret_value = (struct span){left->data + 2, 2};
    if (format == FORMAT_SVAL) {
        length = get16(left->data + 2);
        if (!part_of(*left, 4, length, ret_value))
            return false;
    }
    left->data += 4 + length;
    left->size -= 4 + length;
    return true;
}

static int grow(struct reading *reading, size_t ordinal, struct cubby_error *error) {
    size_t capacity = reading->capacity ? reading->capacity : 16;
    struct kernel_param *items;
    bool *seen;

    while (capacity <= ordinal)
        capacity *= 2;
    if (capacity == reading->capacity)
        return 0;
    items = realloc(reading->items, capacity * sizeof(*items));
    if (items)
        reading->items = items;
    seen = items ? realloc(reading->seen, capacity * sizeof(*seen)) : NULL;
    if (!seen)
        return error_no_memory(error);
    reading->seen = seen;
    memset(seen + reading->capacity, 0, (capacity - reading->capacity) * sizeof(*seen));
    reading->capacity = capacity;
    return 0;
}

static int read_param(struct reading *reading, struct span value, bool wide,
                      struct cubby_error *error) {
    struct kernel_param param;
    size_t ordinal;
    int result;

    if (value.size != 12)
        return corrupt(error, "the entry of a parameter has another length than 12");
    ordinal = get16(value.data + 4);
    param.offset = get16(value.data + 6);
    param.size = wide ? get16(value.data + 8) : get32(value.data + 8) >> 18;
    if (ordinal >= PARAMS_MAX || param.size == 0 ||
        param.offset + param.size > KERNEL_PARAM_BYTES_MAX)
        return corrupt(error, "a parameter lies outside of what a kernel can take");
    result = grow(reading, ordinal, error);
    if (result < 0)
        return result;
    if (reading->seen[ordinal])
        return corrupt(error, "a parameter is there twice");
    reading->seen[ordinal] = true;
    reading->items[ordinal] = param;
    reading->count++;
    if (ordinal >= reading->highest)
        reading->highest = ordinal + 1;
    return 0;
}

/* Two attributes tell how many bytes all parameters take. */
static int read_bytes(struct reading *reading, uint32_t bytes, struct cubby_error *error) {
    if (reading->has_bytes && reading->bytes != bytes)
        return corrupt(error, "it tells two sizes of the parameters of one kernel");
    reading->has_bytes = true;
    reading->bytes = bytes;
    return 0;
}

static int read_attribute(struct reading *reading, unsigned format, unsigned attribute,
                          struct span value, struct cubby_error *error) {
    if (format == FORMAT_SVAL && attribute == ATTRIBUTE_KPARAM_INFO)
        return read_param(reading, value, false, error);
    if (format == FORMAT_SVAL && attribute == ATTRIBUTE_KPARAM_INFO_V2)
        return read_param(reading, value, true, error);
    if (format == FORMAT_HVAL && attribute == ATTRIBUTE_CBANK_PARAM_SIZE)
        return read_bytes(reading, get16(value.data), error);
    if (format == FORMAT_SVAL && attribute == ATTRIBUTE_PARAM_CBANK) {
        if (value.size != 8)
            return corrupt(error, "the entry of the parameters' place has another length than 8");
        return read_bytes(reading, get16(value.data + 6), error);
    }
    return 0; /* of no concern here */
}

/* The parameters follow each other, none is missing, and they take the bytes that they should. */
static int check_reading(const struct reading *reading, struct cubby_error *error) {
    uint32_t end = 0;

    if (reading->count != reading->highest)
        return corrupt(error, "a parameter is missing");
    for (size_t i = 0; i < reading->count; i++) {
        if (reading->items[i].offset < end)
            return corrupt(error, "the parameters of a kernel overlap");
        end = reading->items[i].offset + reading->items[i].size;
    }
    if (reading->has_bytes ? reading->bytes != end : end > 0)
        return corrupt(error, "the parameters of a kernel take another size than it tells");
    return 0;
}

static int read_info(struct reading *reading, struct span info, struct cubby_error *error) {
    unsigned format, attribute;
    struct span value;

    while (info.size > 0) {
        int result;

        if (!next_attribute(&info, &format, &attribute, &value))
            return corrupt(error, "the attributes of a kernel cannot be read");
        result = read_attribute(reading, format, attribute, value, error);
        if (result < 0)
            return result;
    }
    return check_reading(reading, error);
}

int kernel_params_read(const void *cubin, size_t size, const char *kernel,
                       struct kernel_params *ret_params, struct cubby_error *error) {
    struct reading reading = {0};
    Elf64_Shdr section;
    struct span info;
    struct elf elf;
    int result = elf_open(cubin, size, &elf, error);

    if (result < 0)
        return result;
    if (!find_section(&elf, TEXT_PREFIX, kernel, &section) ||
        !find_section(&elf, INFO_PREFIX, kernel, &section))
        return error_set(error, CUBBY_ERR_NOT_FOUND, "the cubin has no kernel \"%.200s\"", kernel);
    if (!part_of(elf.file, section.sh_offset, section.sh_size, &info))
        return corrupt(error, "the attributes of a kernel lie outside of it");
    result = read_info(&reading, info, error);
    free(reading.seen);
    if (result < 0) {
        free(reading.items);
        return result;
    }
    *ret_params = (struct kernel_params){reading.items, reading.count, reading.bytes};
    return 0;
}

void kernel_params_free(struct kernel_params *params) {
    free(params->items);
    *params = (struct kernel_params){0};
}
