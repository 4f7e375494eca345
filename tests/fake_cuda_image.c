/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cubins as the driver's double reads them: which architecture, which kernels, which parameters.
 * The driver is given no size, so what the headers say is believed. Source of the numbers: cubins
 * of CUDA 11 to 13, looked at with cuobjdump -elf and readelf.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cuda_state.h"

#define MACHINE_CUDA 190
#define ABI_OF_CUDA_13 0x41 /* e_ident[EI_OSABI]; it was 0x33 before */

/* Formats and attributes of .nv.info: a byte each, then a value of 2 bytes, or its length. */
#define FORMAT_LONG 4
#define MAX_THREADS 0x05
#define PARAMETER 0x17
#define PARAMETER_WIDE 0x45

struct elf {
    const unsigned char *data;
    const Elf64_Ehdr *header;
    const Elf64_Shdr *sections;
    const char *names;
};

static unsigned get16(const unsigned char *at) {
    return at[0] | (unsigned)at[1] << 8;
}

static unsigned get32(const unsigned char *at) {
    return get16(at) | get16(at + 2) << 16;
}

static const Elf64_Shdr *find_section(const struct elf *elf, const char *prefix, const char *name) {
    for (size_t i = 0; i < elf->header->e_shnum; i++) {
        const char *section = elf->names + elf->sections[i].sh_name;
        size_t length = strlen(prefix);

        if (strncmp(section, prefix, length) == 0 && strcmp(section + length, name) == 0)
            return &elf->sections[i];
    }
    return NULL;
}

static bool read_parameter(struct fake_kernel_info *kernel, const unsigned char *value, bool wide) {
    unsigned ordinal = get16(value + 4);

    if (ordinal >= FAKE_PARAMETERS_MAX)
        return false;
    kernel->parameters[ordinal].offset = get16(value + 6);
    kernel->parameters[ordinal].size = wide ? get16(value + 8) : get32(value + 8) >> 18;
    if (ordinal >= kernel->count)
        kernel->count = ordinal + 1;
    if (kernel->bytes < kernel->parameters[ordinal].offset + kernel->parameters[ordinal].size)
        kernel->bytes = kernel->parameters[ordinal].offset + kernel->parameters[ordinal].size;
    return true;
}

static bool read_info(struct fake_kernel_info *kernel, const unsigned char *at, size_t size) {
    while (size >= 4) {
        size_t length = at[0] == FORMAT_LONG ? get16(at + 2) : 0;

        if (4 + length > size)
            return false;
        if (at[0] == FORMAT_LONG && (at[1] == PARAMETER || at[1] == PARAMETER_WIDE) &&
            !read_parameter(kernel, at + 4, at[1] == PARAMETER_WIDE))
            return false;
        if (at[0] == FORMAT_LONG && at[1] == MAX_THREADS)
            kernel->max_threads = get32(at + 4) * get32(at + 8) * get32(at + 12);
        at += 4 + length;
        size -= 4 + length;
    }
    return true;
}

static bool read_kernel(const struct elf *elf, const Elf64_Shdr *text, struct fake_image *image) {
    const char *name = elf->names + text->sh_name + strlen(".text.");
    const Elf64_Shdr *info = find_section(elf, ".nv.info.", name);
    const Elf64_Shdr *shared = find_section(elf, ".nv.shared.", name);
    struct fake_kernel_info *kernel;

    if (!info)
        return true; /* a function of the device, which cannot be launched */
    image->kernels = fake_grown(image->kernels, image->count + 1, sizeof(*image->kernels));
    kernel = &image->kernels[image->count++];
    memset(kernel, 0, sizeof(*kernel));
    kernel->name = strdup(name);
    kernel->max_threads = 1024;
    kernel->registers = text->sh_info >> 24;
    kernel->static_shared = shared ? (unsigned)shared->sh_size : 0;
    return read_info(kernel, elf->data + info->sh_offset, info->sh_size);
}

static bool is_cubin(const Elf64_Ehdr *header) {
    return memcmp(header, ELFMAG, SELFMAG) == 0 && header->e_machine == MACHINE_CUDA &&
           header->e_shentsize == sizeof(Elf64_Shdr);
}

/* The end of whichever part comes last. */
static size_t size_of(const Elf64_Ehdr *header) {
    const Elf64_Shdr *sections =
        (const Elf64_Shdr *)((const unsigned char *)header + header->e_shoff);
    size_t end = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
    size_t program = header->e_phoff + (size_t)header->e_phnum * header->e_phentsize;

    end = program > end ? program : end;
    for (size_t i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_NOBITS && sections[i].sh_offset + sections[i].sh_size > end)
            end = sections[i].sh_offset + sections[i].sh_size;
    }
    return end;
}

/* FNV-1a. */
unsigned long long fake_image_digest(const void *data) {
    const unsigned char *bytes = data;
    unsigned long long digest = 0xcbf29ce484222325u;
    size_t size = is_cubin(data) ? size_of(data) : 0;

    for (size_t i = 0; i < size; i++)
        digest = (digest ^ bytes[i]) * 0x100000001b3u;
    return size > 0 ? digest : 0;
}

/* INVALID_IMAGE for what is no cubin: of PTX and fat binaries the double knows nothing. */
unsigned fake_image_read(const void *data, struct fake_image *ret_image) {
    struct fake_image image = {0};
    struct elf elf = {.data = data, .header = data};
    bool sound;

    if (!data)
        return DRIVER_ERROR_INVALID_VALUE;
    if (!is_cubin(data))
        return DRIVER_ERROR_INVALID_IMAGE;
    elf.sections = (const Elf64_Shdr *)(elf.data + elf.header->e_shoff);
    elf.names = (const char *)elf.data + elf.sections[elf.header->e_shstrndx].sh_offset;
    image.sm =
        (int)(elf.header->e_flags >> (elf.header->e_ident[EI_OSABI] == ABI_OF_CUDA_13 ? 8 : 0) &
              0xff);
    sound = true;
    for (size_t i = 0; i < elf.header->e_shnum && sound; i++) {
        if (strncmp(elf.names + elf.sections[i].sh_name, ".text.", 6) == 0)
            sound = read_kernel(&elf, &elf.sections[i], &image);
    }
    if (!sound) {
        fake_image_free(&image);
        return DRIVER_ERROR_INVALID_IMAGE;
    }
    for (size_t i = 0; i < image.count; i++)
        image.kernels[i].image = fake_image_digest(data);
    *ret_image = image;
    return 0;
}

void fake_image_free(struct fake_image *image) {
    for (size_t i = 0; i < image->count; i++)
        free(image->kernels[i].name);
    free(image->kernels);
}

/* [guide, "Binary compatibility"] The same major number, and no higher minor one than the device's.
 * That one of sm_90a or sm_100f asks for more is not to be seen here. */
bool fake_image_fits(const struct fake_image *image, int device) {
    return image->sm / 10 == fake.sm[device] / 10 && image->sm <= fake.sm[device];
}
