/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the C library as streams. */
#include <cubby/runtime_cache.h>

#include <errno.h>
#include <unistd.h>

/* A negative errno, whatever the C library says. */
static int failure(void) {
    return errno > 0 ? -errno : -EIO;
}

static ssize_t read_file(void *context, void *data, size_t size) {
    FILE *file = context;
    size_t done;

    do {
        clearerr(file);
        errno = 0;
        done = fread(data, 1, size, file);
    } while (done == 0 && ferror(file) && errno == EINTR);
    return done == 0 && ferror(file) ? failure() : (ssize_t)done;
}

static int write_file(void *context, const void *data, size_t size) {
    FILE *file = context;

    errno = 0;
    return fwrite(data, 1, size, file) == size && fflush(file) == 0 ? 0 : failure();
}

static int replace_file(void *context, const void *data, size_t size) {
    FILE *file = context;

    errno = 0;
    if (fseeko(file, 0, SEEK_SET) < 0 || ftruncate(fileno(file), 0) < 0)
        return failure();
    return write_file(file, data, size);
}

void cubby_runtime_stream_files(FILE *in, FILE *out, struct cubby_runtime_stream *ret_stream) {
    *ret_stream = (struct cubby_runtime_stream){
        .read = in ? read_file : NULL,
        .read_context = in,
        .write = !out        ? NULL
                 : out == in ? replace_file
                             : write_file,
        .write_context = out,
    };
}
