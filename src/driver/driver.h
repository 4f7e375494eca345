/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA driver: libcuda.so.1, loaded once for the process and never unloaded. A forked child of
 * a process that used it cannot use it, which is a rule of the driver's own.
 */
#ifndef CUBBY_DRIVER_DRIVER_H
#define CUBBY_DRIVER_DRIVER_H

#include <limits.h>

#include <cubby/error.h>

#include "driver/driver_api.h"

struct driver {
    struct driver_api api;
    int version; /* 1000 * major + 10 * minor */
    char path[PATH_MAX];
};

/*
 * Loads and starts the driver at the first call; afterwards gives what that call gave. A failure is
 * not remembered. *ret_driver is borrowed and stays valid. Any thread may call it.
 * Returns 0, CUBBY_ERR_NO_DRIVER or CUBBY_ERR_NO_MEMORY.
 */
int driver_open(const struct driver **ret_driver, struct cubby_error *error);

/* Fills the error for a call that gave code: the call, the code's name, what to do about it.
 * Returns the cubby_code that the code stands for; also where the driver is NULL, which names no
 * code. */
int driver_fail(const struct driver *driver, const char *call, unsigned code,
                struct cubby_error *error);

/* CUBBY_ERR_UNSUPPORTED, saying since when drivers have a function of DRIVER_OPTIONAL. */
int driver_lacks(const struct driver *driver, const char *symbol, struct cubby_error *error);

/* Calls a function of the table; 0, or what driver_fail() returns. */
#define driver_call(driver, error, symbol, ...)                                                    \
    driver_result((driver), #symbol, (driver)->api.symbol(__VA_ARGS__), (error))

/* As driver_call, for a function that the driver may lack. */
#define driver_call_optional(driver, error, symbol, ...)                                           \
    ((driver)->api.symbol ? driver_call(driver, error, symbol, __VA_ARGS__)                        \
                          : driver_lacks((driver), #symbol, (error)))

static inline int driver_result(const struct driver *driver, const char *call, unsigned code,
                                struct cubby_error *error) {
    return code == DRIVER_SUCCESS ? 0 : driver_fail(driver, call, code, error);
}

#endif
