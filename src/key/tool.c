/* SPDX-License-Identifier: Apache-2.0 */
#include "key/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/dl.h"
#include "util/error.h"

/* ---- Versions ---------------------------------------------------------------------------- */

/* Resolves the one function that tells a version. */
static int version_function(void *handle, const char *path, const char *name, const char *what,
                            void **ret_function, struct cubby_error *error) {
    const struct dl_symbol symbols[] = {{name, ret_function}, {NULL, NULL}};

    if (dl_resolve(handle, symbols, NULL))
        return 0;
    return error_set(error, CUBBY_ERR_NO_TOOLCHAIN, "%s has no %s: it is not %s", path, name, what);
}

static int two_numbers(void *handle, const char *path, const char *name, const char *what,
                       int *ret_major, int *ret_minor, struct cubby_error *error) {
    int (*version)(int *, int *) = NULL;
    int result = version_function(handle, path, name, what, (void **)&version, error);

    if (result == 0 && version(ret_major, ret_minor) != 0)
        result = error_set(error, CUBBY_ERR_NO_TOOLCHAIN, "%s does not tell its version", path);
    return result;
}

static int nvrtc_version(void *handle, const char *path, int *ret_major, int *ret_minor,
                         struct cubby_error *error) {
    return two_numbers(handle, path, "nvrtcVersion", "NVRTC; set CUBBY_NVRTC to libnvrtc.so",
                       ret_major, ret_minor, error);
}

/* Versions before 12.3 do not tell theirs, nor have they the names that Cubby binds. */
static int nvjitlink_version(void *handle, const char *path, int *ret_major, int *ret_minor,
                             struct cubby_error *error) {
    return two_numbers(handle, path, "nvJitLinkVersion",
                       "nvJitLink 12.3 or newer; set CUBBY_NVJITLINK to libnvJitLink.so", ret_major,
                       ret_minor, error);
}

static int nvvm_version(void *handle, const char *path, int *ret_major, int *ret_minor,
                        struct cubby_error *error) {
    return two_numbers(handle, path, "nvvmVersion", "libNVVM; set CUBBY_NVVM to libnvvm.so",
                       ret_major, ret_minor, error);
}

static int driver_version(void *handle, const char *path, int *ret_major, int *ret_minor,
                          struct cubby_error *error) {
    int (*version)(int *) = NULL;
    int result = version_function(handle, path, "cuDriverGetVersion", "the CUDA driver",
                                  (void **)&version, error);
    int number = 0, code;

    if (result < 0)
        return result;
    code = version(&number);
    if (code == 0) {
        *ret_major = number / 1000;
        *ret_minor = number % 1000 / 10;
        return 0;
    }
    if (error && error->code == CUBBY_OK)
        error->tool_error = code;
    return error_set(error, CUBBY_ERR_NO_DRIVER,
                     "%s does not tell its version: error %d (34: this is the toolkit's stub "
                     "library, not a driver)",
                     path, code);
}

/* ---- Companions -------------------------------------------------------------------------- */

/* The file at a path relative to the folder of another, resolved. */
static bool relative_file(const char *path, const char *relative, char ret_path[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    char full[PATH_MAX];

    return slash &&
           snprintf(full, sizeof(full), "%.*s/%s", (int)(slash - path), path, relative) <
               (int)sizeof(full) &&
           realpath(full, ret_path);
}

void tool_builtins_name(int major, int minor, char ret_name[BUILTINS_NAME_SIZE]) {
    snprintf(ret_name, BUILTINS_NAME_SIZE, "libnvrtc-builtins.so.%d.%d", major, minor);
}

static bool builtins_beside(const char *path, int major, int minor, char ret_path[PATH_MAX]) {
    char name[BUILTINS_NAME_SIZE];

    tool_builtins_name(major, minor, name);
    return relative_file(path, name, ret_path);
}

/* libnvvm lies in nvvm/lib64, in lib or lib64, or in targets/x86_64-linux/lib. */
static bool libdevice_beside(const char *path, int major, int minor, char ret_path[PATH_MAX]) {
    static const char *const RELATIVE[] = {"../libdevice/libdevice.10.bc",
                                           "../nvvm/libdevice/libdevice.10.bc",
                                           "../../../nvvm/libdevice/libdevice.10.bc"};

    (void)major;
    (void)minor;
    for (size_t i = 0; i < sizeof(RELATIVE) / sizeof(*RELATIVE); i++) {
        if (relative_file(path, RELATIVE[i], ret_path))
            return true;
    }
    return false;
}

/* ---- The table --------------------------------------------------------------------------- */

static const struct tool TOOLS[TOOL_COUNT] = {
    [CUBBY_TOOL_NVRTC] = {&LIBRARY_NVRTC, "nvrtc",
                          "NVRTC, the CUDA run-time compiler, was not found: install the CUDA "
                          "toolkit or `pip install nvidia-cuda-nvrtc`, or set CUBBY_NVRTC to "
                          "libnvrtc.so",
                          CUBBY_ERR_NO_TOOLCHAIN, true, nvrtc_version, builtins_beside},
    [CUBBY_TOOL_NVJITLINK] = {&LIBRARY_NVJITLINK, "nvjitlink",
                              "nvJitLink, CUDA's linker, was not found: install the CUDA toolkit "
                              "or `pip install nvidia-nvjitlink`, or set CUBBY_NVJITLINK to "
                              "libnvJitLink.so",
                              CUBBY_ERR_NO_TOOLCHAIN, false, nvjitlink_version, NULL},
    [CUBBY_TOOL_NVVM] = {&LIBRARY_NVVM, "nvvm",
                         "libNVVM, the compiler of NVVM IR, was not found: install the CUDA "
                         "toolkit or `pip install nvidia-nvvm`, or set CUBBY_NVVM to libnvvm.so",
                         CUBBY_ERR_NO_TOOLCHAIN, false, nvvm_version, libdevice_beside},
    [CUBBY_TOOL_DRIVER] = {&LIBRARY_DRIVER, "driver",
                           "the CUDA driver was not found: install the NVIDIA driver, or set "
                           "CUBBY_CUDA to libcuda.so.1",
                           CUBBY_ERR_NO_DRIVER, false, driver_version, NULL},
};

const struct tool *tool_get(enum cubby_tool tool) {
    return &TOOLS[tool];
}
