/* SPDX-License-Identifier: Apache-2.0 */
/* Which tool makes a program: a matter of its kind, and for PTX and links of what is installed. */
#ifndef CUBBY_KEY_LINKER_H
#define CUBBY_KEY_LINKER_H

#include "key/toolchain.h"

/* What is known of the two linkers. */
struct linker_facts {
    bool has_nvjitlink;
    int nvjitlink_major, nvjitlink_minor;
    bool has_driver;
    int driver_major;
};

/*
 * The rule: the driver's own linker where there is no nvJitLink of 12.3 or newer, or where its
 * major version is not that of the driver; where nothing is known of the driver, nvJitLink.
 */
enum cubby_tool linker_choose(const struct linker_facts *facts);

/*
 * The tool of a program, decided anew in each call. Where a linker or libNVVM cannot be found, it
 * is that of toolchain_failed(), and loading it will say why. memory may be NULL.
 * Returns 0; NO_TOOLCHAIN without NVRTC; INVALID or UNSUPPORTED for what the driver's linker lacks.
 */
int toolchain_for_program(const struct cubby_program *program,
                          const struct toolchain_memory *memory,
                          const struct toolchain **ret_toolchain, struct cubby_error *error);

#endif
