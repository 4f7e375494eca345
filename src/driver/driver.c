/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "key/locate.h"
#include "os/dl.h"
#include "os/fork.h"
#include "util/error.h"

typedef unsigned (*get_proc_address)(const char *, void **, int, uint64_t, unsigned *);

static struct {
    pthread_mutex_t lock;
    bool started;
    struct driver driver;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t guarded = PTHREAD_ONCE_INIT;

static void hold_state(void *context) {
    pthread_mutex_lock(context);
}

static void release_state(void *context, bool in_child) {
    (void)in_child;
    pthread_mutex_unlock(context);
}

static void guard_state(void) {
    static struct fork_guard guard = {hold_state, release_state, &state.lock, FORK_LEVEL_TOOLCHAIN,
                                      NULL};

    fork_guard_add(&guard);
}

/* ---- The library ------------------------------------------------------------------------- */

static int fail_to_load(const char *path, struct cubby_error *error) {
    if (*path)
        return error_set(error, CUBBY_ERR_NO_DRIVER, "%s cannot be loaded as the CUDA driver: %s",
                         path, dlerror());
    return error_set(error, CUBBY_ERR_NO_DRIVER,
                     "no CUDA driver: %s was not found; install the NVIDIA driver, or set %s to "
                     "the library",
                     LIBRARY_DRIVER.sonames[0], LIBRARY_DRIVER.variable);
}

static int load(struct driver *driver, void **ret_handle, struct cubby_error *error) {
    struct cubby_error unusable = CUBBY_ERROR_INIT;
    struct location location;
    int result = locate_library(&LIBRARY_DRIVER, false, &location, NULL, &unusable);

    if (result == CUBBY_ERR_NO_TOOLCHAIN)
        result = error_set(error, CUBBY_ERR_NO_DRIVER, "no CUDA driver: %s", unusable.message);
    cubby_error_clear(&unusable);
    if (result == 0)
        result = dl_open(*location.path ? location.path : LIBRARY_DRIVER.sonames[0], ret_handle);
    if (result == CUBBY_ERR_NO_MEMORY)
        return error_no_memory(error);
    if (result == CUBBY_ERR_NOT_FOUND)
        return fail_to_load(location.path, error);
    if (result == 0 && !dl_handle_path(*ret_handle, driver->path))
        snprintf(driver->path, sizeof(driver->path), "%s", LIBRARY_DRIVER.sonames[0]);
    return result;
}

/* ---- Its functions ----------------------------------------------------------------------- */

struct function {
    const char *symbol, *base;
    int version;
    size_t offset; /* in struct driver_api */
};

#define FUNCTION(symbol, base, version, parameters)                                                \
    {#symbol, #base, version, offsetof(struct driver_api, symbol)},

/*
 * NVIDIA's advice for versioned functions is to ask cuGetProcAddress, which knows the ABI that goes
 * with a version. A driver that lacks it (before 12.0 in this form) exports each ABI under a name
 * of its own, as newer ones do too.
 */
static void *find(void *handle, get_proc_address ask, const struct function *function) {
    void *address = NULL;

    if (ask && ask(function->base, &address, function->version, 0, NULL) == DRIVER_SUCCESS &&
        address)
        return address;
    return dlsym(handle, function->symbol);
}

static void set_function(struct driver_api *api, const struct function *function, void *address) {
    memcpy((char *)api + function->offset, &address, sizeof(address));
}

static int resolve_required(void *handle, get_proc_address ask, struct driver *driver,
                            struct cubby_error *error) {
    static const struct function FUNCTIONS[] = {DRIVER_REQUIRED(FUNCTION)};

    for (size_t i = 0; i < sizeof(FUNCTIONS) / sizeof(*FUNCTIONS); i++) {
        void *address = find(handle, ask, &FUNCTIONS[i]);

        if (!address)
            return error_set(error, CUBBY_ERR_NO_DRIVER,
                             "the CUDA driver %s lacks %s: it is too old, expected one of CUDA "
                             "11.0 or newer",
                             driver->path, FUNCTIONS[i].symbol);
        set_function(&driver->api, &FUNCTIONS[i], address);
    }
    return 0;
}

/* A function is taken only from a driver of the version that brought it: before, it may have been
 * there with another meaning. */
static void resolve_optional(void *handle, get_proc_address ask, struct driver *driver) {
    static const struct function FUNCTIONS[] = {DRIVER_OPTIONAL(FUNCTION)};

    for (size_t i = 0; i < sizeof(FUNCTIONS) / sizeof(*FUNCTIONS); i++) {
        if (FUNCTIONS[i].version <= driver->version)
            set_function(&driver->api, &FUNCTIONS[i], find(handle, ask, &FUNCTIONS[i]));
    }
}

/* Whatever keeps it from starting, there is no driver then. */
static int initialise(struct driver *driver, struct cubby_error *error) {
    struct cubby_error reason = CUBBY_ERROR_INIT;
    int result = driver_call(driver, &reason, cuInit, 0);

    if (result == 0)
        result = driver_call(driver, &reason, cuDriverGetVersion, &driver->version);
    if (result == 0)
        return 0;
    if (error && error->code == CUBBY_OK)
        error->tool_error = reason.tool_error;
    return error_set(error, CUBBY_ERR_NO_DRIVER, "the CUDA driver %s cannot be started: %s",
                     driver->path, reason.message);
}

static int start(struct driver *driver, struct cubby_error *error) {
    get_proc_address ask;
    void *handle = NULL;
    int result = load(driver, &handle, error);

    if (result < 0)
        return result;
    /* The handle is kept: a driver that was started is not unloaded. */
    ask = (get_proc_address)dlsym(handle, "cuGetProcAddress_v2");
    result = resolve_required(handle, ask, driver, error);
    if (result == 0)
        result = initialise(driver, error);
    if (result == 0)
        resolve_optional(handle, ask, driver);
    return result;
}

int driver_open(const struct driver **ret_driver, struct cubby_error *error) {
    int result = 0;

    pthread_once(&guarded, guard_state);
    pthread_mutex_lock(&state.lock);
    if (!state.started) {
        memset(&state.driver, 0, sizeof(state.driver));
        result = start(&state.driver, error);
        state.started = result == 0;
    }
    pthread_mutex_unlock(&state.lock);
    if (result == 0)
        *ret_driver = &state.driver;
    return result;
}
