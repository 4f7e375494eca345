/* SPDX-License-Identifier: Apache-2.0 */
/* What is particular to each tool: its library, its version, the file that belongs to it. */
#ifndef CUBBY_KEY_TOOL_H
#define CUBBY_KEY_TOOL_H

#include <cubby/cubby.h>

#include "key/locate.h"

#define TOOL_COUNT 4 /* enum cubby_tool */

/* One of them; static. */
struct tool {
    const struct library *library;
    const char *name;   /* in fingerprints, such as "nvrtc" */
    const char *advice; /* what to do where it is missing */
    int missing_code;   /* NO_TOOLCHAIN or NO_DRIVER */
    bool needs_companion;

    /* Asks the loaded library. Returns 0 or an error that names path. */
    int (*version)(void *handle, const char *path, int *ret_major, int *ret_minor,
                   struct cubby_error *error);
    /* The companion that belongs to the library at that path, resolved. False where there is none.
     * The function is NULL for tools without companions. */
    bool (*companion_beside)(const char *path, int major, int minor, char ret_path[PATH_MAX]);
};

const struct tool *tool_get(enum cubby_tool tool);

#define BUILTINS_NAME_SIZE 64

/* The name of NVRTC's builtins of a version. */
void tool_builtins_name(int major, int minor, char ret_name[BUILTINS_NAME_SIZE]);

#endif
