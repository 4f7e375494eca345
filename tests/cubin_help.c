/* SPDX-License-Identifier: Apache-2.0 */
#include "cubin_help.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define SECTIONS 4
#define CODE "code"

/* Names of the sections, each with its NUL: those of the code and of the attributes last. */
static size_t make_names(const char *kernel, char *names, size_t capacity, size_t *ret_code,
                         size_t *ret_info) {
    size_t size = 1 + sizeof(".shstrtab");

    memcpy(names, "\0.shstrtab", size);
    *ret_code = size;
    size += (size_t)snprintf(names + size, capacity - size, ".text.%s", kernel) + 1;
    *ret_info = size;
    size += (size_t)snprintf(names + size, capacity - size, ".nv.info.%s", kernel) + 1;
    ck_assert_uint_lt(size, capacity);
    return size;
}

size_t cubin_info_offset(const char *kernel) {
    char names[512];
    size_t code, info;

    return sizeof(Elf64_Ehdr) + SECTIONS * sizeof(Elf64_Shdr) + sizeof(CODE) +
           make_names(kernel, names, sizeof(names), &code, &info);
}

void *cubin_make(const char *kernel, const void *info, size_t info_size, size_t *ret_size) {
    Elf64_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                         .e_type = ET_EXEC,
                         .e_machine = EM_CUDA,
                         .e_version = EV_CURRENT,
                         .e_shoff = sizeof(header),
                         .e_ehsize = sizeof(header),
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = SECTIONS,
                         .e_shstrndx = 1};
    Elf64_Shdr sections[SECTIONS] = {{0}};
    char names[512];
    size_t code_name, info_name;
    size_t name_size = make_names(kernel, names, sizeof(names), &code_name, &info_name);
    size_t code = sizeof(header) + sizeof(sections), at = cubin_info_offset(kernel);
    unsigned char *bytes = malloc(at + info_size);

    ck_assert_ptr_nonnull(bytes);
    sections[1] = (Elf64_Shdr){.sh_name = 1,
                               .sh_type = SHT_STRTAB,
                               .sh_size = name_size,
                               .sh_offset = code + sizeof(CODE)};
    sections[2] = (Elf64_Shdr){.sh_name = (Elf64_Word)code_name,
                               .sh_type = SHT_PROGBITS,
                               .sh_size = sizeof(CODE),
                               .sh_offset = code};
    sections[3] = (Elf64_Shdr){.sh_name = (Elf64_Word)info_name,
                               .sh_type = 0x70000000,
                               .sh_size = info_size,
                               .sh_offset = at};
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), sections, sizeof(sections));
    memcpy(bytes + code, CODE, sizeof(CODE));
    memcpy(bytes + code + sizeof(CODE), names, name_size);
    if (info_size > 0)
        memcpy(bytes + at, info, info_size);
    *ret_size = at + info_size;
    return bytes;
}
