/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of PTX, NVVM IR and links share: a toolkit of doubles, and short hands. Each test
 * runs in a process of its own, as a tool stays for the life of a process. */
#ifndef TESTS_LINKER_HELP_H
#define TESTS_LINKER_HELP_H

#include <stdbool.h>

#include "harness.h"

#define PTX ".version 7.0\n.target sm_70\n"
#define LTOIR "\xed\x43\x4e\x7f some"
#define IR "target triple = \"nvptx64-nvidia-cuda\"\n"

#define COUNT(table) (int)(sizeof(table) / sizeof(*(table)))

/* A case whose tests find doubles of all tools but no driver. */
TCase *add_case(Suite *suite, const char *name);

/* A driver of that CUDA version, such as "12080". */
void use_driver(const char *version);

/* Makes nvJitLink one that cannot be found. */
void hide_nvjitlink(void);

/* Gives libNVVM's toolkit a libdevice of that text. */
void make_libdevice(const char *text);

struct cubby_program *program_with(enum cubby_source source, enum cubby_target target,
                                   const char *text, const char *option);
struct cubby_program *ptx_with(const char *option);

/* Links texts of which each is one input. */
struct cubby_link *link_of(const char *const *texts, size_t count,
                           const struct cubby_link_options *given);

/* The double's object, which is what it was told; new text. Each releases what it is given. */
char *compiled(struct cubby_program *program);
char *linked(struct cubby_link *link);

/* The key in a process of its own, which finds its tools anew. Releases the program. */
struct cubby_key key_in_child(struct cubby_program *program);
struct cubby_key link_key(struct cubby_link *link);

bool same(struct cubby_key left, struct cubby_key right);
bool same_keys(struct cubby_program *left, struct cubby_program *right);

/* The toolchain field of a program's key. */
void toolchain_of(struct cubby_program *program, char field[200]);

#endif
