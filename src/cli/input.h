/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a source, writing a result. */
#ifndef CUBBY_CLI_INPUT_H
#define CUBBY_CLI_INPUT_H

#include <stddef.h>

#include <cubby/error.h>

/* The whole of a file ("-": standard input) as new bytes. Returns 0, INVALID or NO_MEMORY. */
int input_read(const char *path, char **ret_data, size_t *ret_size, struct cubby_error *error);

/*
 * Writes a file ("-": standard output) whole or not at all: the bytes go into a file beside it that
 * is renamed into place. What exists and is no regular file (/dev/null) is written to instead.
 * Returns 0 or INVALID, which says what the system said.
 */
int output_write(const char *path, const void *data, size_t size, struct cubby_error *error);

/* The same, for those who write piece by piece. */
struct output {
    const char *path; /* borrowed */
    int fd;           /* to be written to */
    char *temporary;  /* NULL where it is written in place */
    char *target;
};

/* Returns 0 or INVALID as output_write(); what is opened ends in one of the two below. */
int output_open(const char *path, struct output *ret_output, struct cubby_error *error);
int output_commit(struct output *output, struct cubby_error *error);
void output_discard(struct output *output);

#endif
