/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs and outputs of `cubby run`: which files they come from and go to, their contents, and
 * their memory on the device. */
#ifndef CUBBY_CLI_RUN_TENSORS_H
#define CUBBY_CLI_RUN_TENSORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include <cubby/runner.h>

#include "cli/shapes.h"

/* The texts of --input or --output, NAME=FILE each. */
struct file_args {
    const char **texts;
    size_t count;
};

void file_args_add(struct file_args *args, const char *text);

/* What the command line says of tensors. */
struct tensor_args {
    struct file_args inputs, outputs;
    const char *output_dir; /* NULL for none */
    uint64_t seed;          /* of inputs without a file */
};

/* An input or output. */
struct run_tensor {
    const struct cubby_engine_tensor *tensor; /* borrowed from the plan */
    size_t index;                             /* in the plan */
    const char *path;                         /* its file, borrowed; NULL for none */
    void *data;                               /* contents of an input's file */
    struct cubby_device_memory *memory;       /* while a shape runs */
};

struct run_tensors {
    const struct cubby_engine_plan *plan; /* borrowed, as are the arguments */
    const struct tensor_args *args;
    struct run_tensor *items; /* in the plan's order, as an engine takes them */
    size_t count;
    size_t shape_count; /* with more than one, the names of outputs tell the shape */
};

/*
 * Finds out which tensors the arguments mean, reads the inputs' files, and compares them with all
 * shapes. A dim that a shape leaves out, and that alone is an extent of an input with a file, has
 * the value of that file from then on. What is wrong with outputs is told as far as it can be seen
 * now. Returns 0, INVALID or NO_MEMORY.
 */
int run_tensors_new(const struct cubby_engine_plan *plan, const struct tensor_args *args,
                    struct shapes *shapes, struct run_tensors *ret_tensors,
                    struct cubby_error *error);
void run_tensors_clear(struct run_tensors *tensors);

/*
 * Allocates all of them for a shape and fills them: inputs from their files or with random numbers,
 * outputs with zeros. buffers has room for each. To be followed by run_tensors_release().
 */
int run_tensors_place(struct run_tensors *tensors, int device,
                      const struct cubby_engine_geometry *geometry,
                      struct cubby_engine_buffer *buffers, struct cubby_error *error);
void run_tensors_release(struct run_tensors *tensors);

/* Writes those outputs to files that have one, and adds each to files: name and path. */
int run_tensors_save(const struct run_tensors *tensors, const int64_t *shape,
                     const struct cubby_engine_geometry *geometry, json_t *files,
                     struct cubby_error *error);

#endif
