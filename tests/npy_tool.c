/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a .npy file as a tensor and writes it to another, for test-npy.py:
 *
 *     npy_tool IN OUT DTYPE EXTENT...
 *
 * Prints what is wrong and ends with 1 where it cannot.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/npy.h"

static enum cubby_dtype dtype_of(const char *name) {
    int dtype = 0;

    while (cubby_dtype_name((enum cubby_dtype)dtype) &&
           strcmp(cubby_dtype_name((enum cubby_dtype)dtype), name) != 0)
        dtype++;
    return (enum cubby_dtype)dtype;
}

int main(int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    int64_t shape[CUBBY_RANK_MAX];
    enum cubby_dtype dtype;
    struct npy_file file;
    size_t rank = 0, size;
    char *data;
    int result;

    if (argc < 4 || argc > 4 + CUBBY_RANK_MAX)
        return 2;
    dtype = dtype_of(argv[3]);
    size = cubby_dtype_size(dtype);
    for (; (int)rank + 4 < argc; rank++) {
        shape[rank] = strtoll(argv[rank + 4], NULL, 10);
        size *= (size_t)shape[rank];
    }
    data = malloc(size + 1);
    result = npy_open(argv[1], &file, &error);
    if (result == 0)
        result = npy_check(&file, "x", dtype, rank, shape, &error);
    if (result == 0)
        result = npy_read(&file, data, size, &error);
    if (result == 0)
        result = npy_write(argv[2], dtype, rank, shape, data, size, &error);
    npy_close(&file);
    free(data);
    if (result < 0)
        puts(error.message);
    cubby_error_clear(&error);
    return result < 0;
}
