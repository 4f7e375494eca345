/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors in files, in NumPy's format .npy: versions 1.0, 2.0 and 3.0 are read, 1.0 is written.
 * Little-endian and in C order. bfloat16 and the types of eight bits have no name there: they are
 * written as raw bytes ("|V2", "|V1"), as NumPy with ml_dtypes does, and unsigned integers of their
 * size are read as well.
 */
#ifndef CUBBY_CLI_NPY_H
#define CUBBY_CLI_NPY_H

#include <stddef.h>
#include <stdint.h>

#include <cubby/engine.h>

/* What a file says of itself. */
struct npy_header {
    char type[16]; /* such as "<f4"; one that is longer is none of ours */
    size_t rank;
    int64_t shape[CUBBY_RANK_MAX];
};

/* Reads a header, from the first byte of the file to the end of the header; path is for messages.
 * Returns 0 or INVALID. */
int npy_parse(const char *path, const void *data, size_t size, struct npy_header *ret_header,
              struct cubby_error *error);

/* An open file, its header read. */
struct npy_file {
    const char *path; /* borrowed */
    int fd;
    struct npy_header header;
};

/* Returns 0, INVALID or NO_MEMORY. Nothing is open after a failure. */
int npy_open(const char *path, struct npy_file *ret_file, struct cubby_error *error);

/* Whether it holds a tensor of that type and shape. Returns 0 or INVALID, which tells both. */
int npy_check(const struct npy_file *file, const char *tensor, enum cubby_dtype dtype, size_t rank,
              const int64_t *shape, struct cubby_error *error);

/* Reads the elements, which have to be exactly so many bytes. Once. Returns 0 or INVALID. */
int npy_read(struct npy_file *file, void *data, size_t size, struct cubby_error *error);

void npy_close(struct npy_file *file);

/* Writes a file ("-": standard output) as output_write(). */
int npy_write(const char *path, enum cubby_dtype dtype, size_t rank, const int64_t *shape,
              const void *data, size_t size, struct cubby_error *error);

#endif
