/* SPDX-License-Identifier: Apache-2.0 */
#include "key/build_id.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cubby/cubby.h>

#include "key/digest.h"
#include "os/fd.h"
#include "util/error.h"

#define MAX_HEADERS 256
#define MAX_NOTE (64 * 1024)
#define MAX_BUILD_ID 64

static bool read_at(int fd, void *data, size_t size, off_t offset) {
    return pread(fd, data, size, offset) == (ssize_t)size;
}

/* Looks for the build-id among the notes of one segment. */
static size_t id_in_notes(const unsigned char *notes, size_t size,
                          unsigned char ret_id[MAX_BUILD_ID]) {
    size_t position = 0;

    while (size - position >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        size_t name, data;

        memcpy(&note, notes + position, sizeof(note));
        name = position + sizeof(note);
        if (note.n_namesz > size || note.n_descsz > size)
            return 0;
        data = name + ((note.n_namesz + 3u) & ~3u);
        if (data > size || note.n_descsz > size - data)
            return 0;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
            memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 && note.n_descsz > 0 &&
            note.n_descsz <= MAX_BUILD_ID) {
            memcpy(ret_id, notes + data, note.n_descsz);
            return note.n_descsz;
        }
        position = data + ((note.n_descsz + 3u) & ~3u);
        if (position > size)
            return 0;
    }
    return 0;
}

static size_t id_in_segment(int fd, const Elf64_Phdr *segment, unsigned char ret_id[MAX_BUILD_ID]) {
    unsigned char notes[MAX_NOTE];

    if (segment->p_type != PT_NOTE || segment->p_filesz > MAX_NOTE ||
        !read_at(fd, notes, segment->p_filesz, (off_t)segment->p_offset))
        return 0;
    return id_in_notes(notes, segment->p_filesz, ret_id);
}

static bool read_header(int fd, Elf64_Ehdr *ret_header) {
    return read_at(fd, ret_header, sizeof(*ret_header), 0) &&
           memcmp(ret_header->e_ident, ELFMAG, SELFMAG) == 0 &&
           ret_header->e_ident[EI_CLASS] == ELFCLASS64 &&
           ret_header->e_phentsize == sizeof(Elf64_Phdr) && ret_header->e_phnum <= MAX_HEADERS;
}

static bool segments_fit(int fd, const Elf64_Ehdr *header, uint64_t size) {
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;

        if (!read_at(fd, &segment, sizeof(segment),
                     (off_t)(header->e_phoff + i * sizeof(Elf64_Phdr))) ||
            segment.p_offset > size || segment.p_filesz > size - segment.p_offset)
            return false;
    }
    return true;
}

bool build_is_whole(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    Elf64_Ehdr header;
    bool whole;

    if (fd < 0)
        return false;
    whole = fstat(fd, &status) == 0 && read_header(fd, &header) &&
            segments_fit(fd, &header, (uint64_t)status.st_size);
    close(fd);
    return whole;
}

/* The number of bytes of the build-id, 0 where the file has none. */
static size_t read_build_id(int fd, unsigned char ret_id[MAX_BUILD_ID]) {
    Elf64_Ehdr header;

    if (!read_at(fd, &header, sizeof(header), 0) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr) ||
        header.e_phnum > MAX_HEADERS)
        return 0;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        off_t offset = (off_t)(header.e_phoff + i * sizeof(Elf64_Phdr));
        Elf64_Phdr segment;
        size_t size;

        if (!read_at(fd, &segment, sizeof(segment), offset))
            return 0;
        size = id_in_segment(fd, &segment, ret_id);
        if (size > 0)
            return size;
    }
    return 0;
}

static int digest_file(int fd, struct cubby_key *ret_digest) {
    unsigned char chunk[64 * 1024];
    struct digest digest;
    ssize_t size;

    digest_init(&digest, NULL);
    while ((size = fd_read_full(fd, chunk, sizeof(chunk))) > 0)
        digest_update(&digest, chunk, (size_t)size);
    digest_result(&digest, ret_digest);
    return size < 0 ? -1 : 0;
}

static char *identity_text(const char *scheme, const unsigned char *bytes, size_t size) {
    size_t length = strlen(scheme);
    char *text = malloc(length + 2 * size + 1);

    if (!text)
        return NULL;
    memcpy(text, scheme, length + 1);
    for (size_t i = 0; i < size; i++)
        snprintf(text + length + 2 * i, 3, "%02x", bytes[i]);
    return text;
}

int build_identity_of_digest(const struct cubby_key *digest, char **ret_identity,
                             struct cubby_error *error) {
    char *identity = identity_text("blake2b:", digest->bytes, sizeof(digest->bytes));

    if (!identity)
        return error_no_memory(error);
    *ret_identity = identity;
    return 0;
}

int build_identity(const char *path, char **ret_identity, struct cubby_error *error) {
    unsigned char id[MAX_BUILD_ID];
    struct cubby_key content;
    char *identity = NULL;
    int result = 0;
    size_t size;
    int fd;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "cannot read the library %s", path);
    size = read_build_id(fd, id);
    if (size > 0)
        identity = identity_text("build-id:", id, size);
    else if (digest_file(fd, &content) == 0)
        result = build_identity_of_digest(&content, &identity, error);
    else
        result = error_set_errno(error, errno, "cannot read the library %s", path);
    close(fd);
    if (result == 0 && !identity)
        result = error_no_memory(error);
    if (result == 0)
        *ret_identity = identity;
    return result;
}
