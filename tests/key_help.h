/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of keys share: keys of CUDA C++ with a made-up toolchain. */
#ifndef TESTS_KEY_HELP_H
#define TESTS_KEY_HELP_H

#include "key/key.h"
#include "key/program.h"
#include "linker_help.h"

extern const struct toolchain TOOLS, OTHER_TOOLS;

#define SOURCE "__global__ void k(float *x) { *x = 1; }\n"

struct cubby_program *cuda_program(const char *text, const struct cubby_program_options *options);

struct cubby_key key_of_cuda(const char *text, const struct cubby_program_options *options);

/* The key of SOURCE with options made of up to three strings, NULL behind the last. */
struct cubby_key key_with(const char *one, const char *two, const char *three);

/* What making such a program says; the error is filled where there is one. */
int refusal(const struct cubby_program_options *options, const char *text, size_t size,
            struct cubby_error *error);

#endif
