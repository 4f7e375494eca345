/* SPDX-License-Identifier: Apache-2.0 */
#include "key/input.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"

#define MACHINE_CUDA 190 /* e_machine of a cubin */

static const unsigned char FATBIN_MAGIC[] = {0x50, 0xed, 0x55, 0xba};
static const unsigned char LTOIR_MAGIC[] = {0xed, 0x43, 0x4e, 0x7f};
static const unsigned char BITCODE_MAGIC[] = {'B', 'C', 0xc0, 0xde};
static const unsigned char BITCODE_WRAPPER_MAGIC[] = {0xde, 0xc0, 0x17, 0x0b};
static const char LIBRARY_MAGIC[] = {'!', '<', 'a', 'r', 'c', 'h', '>', '\n'};

const char *cubby_input_name(enum cubby_input input) {
    static const char *const NAMES[] = {NULL,     "cubin",  "ptx",    "ltoir",
                                        "fatbin", "object", "library"};

    return (unsigned)input < sizeof(NAMES) / sizeof(*NAMES) ? NAMES[input] : NULL;
}

/* ---- What the bytes are ------------------------------------------------------------------ */

static bool begins(const void *data, size_t size, const void *magic, size_t magic_size) {
    return size >= magic_size && memcmp(data, magic, magic_size) == 0;
}

static bool is_elf(const void *data, size_t size, Elf64_Ehdr *ret_header) {
    if (size < sizeof(*ret_header) || memcmp(data, ELFMAG, SELFMAG) != 0)
        return false;
    memcpy(ret_header, data, sizeof(*ret_header));
    return ret_header->e_ident[EI_CLASS] == ELFCLASS64;
}

/* PTX is text that has a .version directive before anything but comments. */
static bool is_ptx(const char *data, size_t size) {
    return !memchr(data, '\0', size > 0 ? size - 1 : 0) && memmem(data, size, ".version", 8);
}

static enum cubby_input find_out(const void *data, size_t size) {
    Elf64_Ehdr header;

    if (is_elf(data, size, &header))
        return header.e_machine == MACHINE_CUDA ? CUBBY_INPUT_CUBIN : CUBBY_INPUT_OBJECT;
    if (begins(data, size, LTOIR_MAGIC, sizeof(LTOIR_MAGIC)))
        return CUBBY_INPUT_LTOIR;
    if (begins(data, size, FATBIN_MAGIC, sizeof(FATBIN_MAGIC)))
        return CUBBY_INPUT_FATBIN;
    if (begins(data, size, LIBRARY_MAGIC, sizeof(LIBRARY_MAGIC)))
        return CUBBY_INPUT_LIBRARY;
    return is_ptx(data, size) ? CUBBY_INPUT_PTX : CUBBY_INPUT_ANY;
}

static bool table_fits(uint64_t offset, uint64_t entry, uint64_t count, size_t size) {
    return offset <= size && entry * count <= size - offset;
}

/* nvJitLink ends the process over a cubin that is cut short: no table, section or segment may lie
 * beyond its end. */
static bool elf_is_whole(const void *data, size_t size) {
    const char *bytes = data;
    Elf64_Ehdr header;

    if (!is_elf(data, size, &header) ||
        !table_fits(header.e_shoff, header.e_shentsize, header.e_shnum, size) ||
        !table_fits(header.e_phoff, header.e_phentsize, header.e_phnum, size) ||
        (header.e_shnum > 0 && header.e_shentsize < sizeof(Elf64_Shdr)) ||
        (header.e_phnum > 0 && header.e_phentsize < sizeof(Elf64_Phdr)))
        return false;
    for (size_t i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section;

        memcpy(&section, bytes + header.e_shoff + i * header.e_shentsize, sizeof(section));
        if (section.sh_type != SHT_NOBITS &&
            !table_fits(section.sh_offset, 1, section.sh_size, size))
            return false;
    }
    for (size_t i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;

        memcpy(&segment, bytes + header.e_phoff + i * header.e_phentsize, sizeof(segment));
        if (!table_fits(segment.p_offset, 1, segment.p_filesz, size))
            return false;
    }
    return true;
}

/* ---- Copying ----------------------------------------------------------------------------- */

static int check_given(const void *data, size_t size, const char *label,
                       struct cubby_error *error) {
    if (data && size > 0)
        return 0;
    return error_set(error, CUBBY_ERR_INVALID, "%s is empty", label);
}

/* Text that its reader takes to end at the first NUL. */
static int text_source(const char *data, size_t size, const char *label, const char *what,
                       struct source **ret_source, struct cubby_error *error) {
    const char *nul;
    int result;

    while (data && size > 0 && data[size - 1] == '\0')
        size--;
    result = check_given(data, size, label, error);
    if (result < 0)
        return result;
    nul = memchr(data, '\0', size);
    if (nul)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s has a NUL byte at offset %zu: what follows would not be read; "
                         "expected %s",
                         label, (size_t)(nul - data), what);
    return source_new_bytes(data, size, ret_source, error);
}

int input_ptx_source(const void *data, size_t size, const char *label, struct source **ret_source,
                     struct cubby_error *error) {
    return text_source(data, size, label, "PTX, which is text", ret_source, error);
}

int input_nvvm_source(const void *data, size_t size, const char *label, struct source **ret_source,
                      struct cubby_error *error) {
    if (data && (begins(data, size, BITCODE_MAGIC, sizeof(BITCODE_MAGIC)) ||
                 begins(data, size, BITCODE_WRAPPER_MAGIC, sizeof(BITCODE_WRAPPER_MAGIC))))
        return source_new_bytes(data, size, ret_source, error);
    return text_source(data, size, label, "NVVM IR as text or as bitcode", ret_source, error);
}

static int check_form(const struct cubby_link_input *given, enum cubby_input kind,
                      const char *label, struct cubby_error *error) {
    if (!cubby_input_name(kind))
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s is of no form that can be linked: expected a cubin, PTX, LTO-IR, a "
                         "fatbin, a host object or a library",
                         label);
    if ((kind == CUBBY_INPUT_CUBIN || kind == CUBBY_INPUT_OBJECT) &&
        !elf_is_whole(given->data, given->size))
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s is no whole ELF file, as a %s is: it is cut short or damaged", label,
                         cubby_input_name(kind));
    return 0;
}

int input_copy_link(const struct cubby_link_input *given, const char *label,
                    struct input *ret_input, struct cubby_error *error) {
    enum cubby_input kind = given->kind;
    struct input input = {CUBBY_INPUT_ANY, NULL, NULL};
    int result = check_given(given->data, given->size, label, error);

    if (result < 0)
        return result;
    if (kind == CUBBY_INPUT_ANY)
        kind = find_out(given->data, given->size);
    result = check_form(given, kind, label, error);
    if (result == 0 && kind == CUBBY_INPUT_PTX)
        result = input_ptx_source(given->data, given->size, label, &input.source, error);
    else if (result == 0)
        result = source_new_bytes(given->data, given->size, &input.source, error);
    if (result < 0)
        return result;
    input.kind = kind;
    input.name = given->name ? strdup(given->name) : NULL;
    if (given->name && !input.name) {
        input_clear(&input);
        return error_no_memory(error);
    }
    *ret_input = input;
    return 0;
}

void input_clear(struct input *input) {
    free(input->name);
    source_unref(input->source);
    *input = (struct input){CUBBY_INPUT_ANY, NULL, NULL};
}
