/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that take engine files ask of them. */
#ifndef CUBBY_CLI_ENGINE_FILE_H
#define CUBBY_CLI_ENGINE_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include <cubby/engine.h>

/* True if a file of the command line is one, by its suffix. */
bool engine_file_is(const char *path);

/* The exit status that fits a failure of an engine: as status_of(), but what is wrong with its
 * files is no failure of the store. */
int engine_status(int code);

/* Whether any of its programs is CUDA C++; whether any may be specialised. */
bool engine_has_cuda(const struct cubby_engine_plan *plan);
bool engine_is_specialised(const struct cubby_engine_plan *plan);

/* The values for which a program is specialised, of all values of the dims; a new object. */
json_t *engine_dims_json(const struct cubby_engine_plan *plan,
                         const struct cubby_engine_program *program, const int64_t *values);

#endif
