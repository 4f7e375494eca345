/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/types.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} DTYPES[] = {
    [CUBBY_DTYPE_BOOL] = {"bool", 1},
    [CUBBY_DTYPE_INT8] = {"int8", 1},
    [CUBBY_DTYPE_UINT8] = {"uint8", 1},
    [CUBBY_DTYPE_INT16] = {"int16", 2},
    [CUBBY_DTYPE_UINT16] = {"uint16", 2},
    [CUBBY_DTYPE_INT32] = {"int32", 4},
    [CUBBY_DTYPE_UINT32] = {"uint32", 4},
    [CUBBY_DTYPE_INT64] = {"int64", 8},
    [CUBBY_DTYPE_UINT64] = {"uint64", 8},
    [CUBBY_DTYPE_FLOAT8_E4M3] = {"float8_e4m3", 1},
    [CUBBY_DTYPE_FLOAT8_E5M2] = {"float8_e5m2", 1},
    [CUBBY_DTYPE_FLOAT16] = {"float16", 2},
    [CUBBY_DTYPE_BFLOAT16] = {"bfloat16", 2},
    [CUBBY_DTYPE_FLOAT32] = {"float32", 4},
    [CUBBY_DTYPE_FLOAT64] = {"float64", 8},
};

static const char *const ROLES[] = {
    [CUBBY_ROLE_INPUT] = "input", [CUBBY_ROLE_OUTPUT] = "output", [CUBBY_ROLE_SCRATCH] = "scratch"};
static const char *const ACCESSES[] = {[CUBBY_ACCESS_READ] = "read",
                                       [CUBBY_ACCESS_WRITE] = "write",
                                       [CUBBY_ACCESS_READ_WRITE] = "read_write"};
static const char *const OPERATORS[] = {
    [CUBBY_OPERATOR_ADD] = "add",           [CUBBY_OPERATOR_SUB] = "sub",
    [CUBBY_OPERATOR_MUL] = "mul",           [CUBBY_OPERATOR_DIV] = "div",
    [CUBBY_OPERATOR_MOD] = "mod",           [CUBBY_OPERATOR_CEIL_DIV] = "ceil_div",
    [CUBBY_OPERATOR_ROUND_UP] = "round_up", [CUBBY_OPERATOR_ROUND_DOWN] = "round_down",
    [CUBBY_OPERATOR_MIN] = "min",           [CUBBY_OPERATOR_MAX] = "max",
};

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

const char *cubby_dtype_name(enum cubby_dtype dtype) {
    return (unsigned)dtype < COUNT(DTYPES) ? DTYPES[dtype].name : NULL;
}

size_t cubby_dtype_size(enum cubby_dtype dtype) {
    return (unsigned)dtype < COUNT(DTYPES) ? DTYPES[dtype].size : 0;
}

const char *cubby_role_name(enum cubby_role role) {
    return (unsigned)role < COUNT(ROLES) ? ROLES[role] : NULL;
}

const char *cubby_access_name(enum cubby_access access) {
    return (unsigned)access < COUNT(ACCESSES) ? ACCESSES[access] : NULL;
}

const char *cubby_operator_name(enum cubby_operator operation) {
    return (unsigned)operation < COUNT(OPERATORS) ? OPERATORS[operation] : NULL;
}

const char *dtype_word(int value) {
    return cubby_dtype_name((enum cubby_dtype)value);
}

const char *role_word(int value) {
    return cubby_role_name((enum cubby_role)value);
}

const char *access_word(int value) {
    return cubby_access_name((enum cubby_access)value);
}

const char *operator_word(int value) {
    return cubby_operator_name((enum cubby_operator)value);
}

bool word_find(const char *(*word)(int), const char *text, int *ret_value) {
    for (int value = 0; word(value); value++) {
        if (strcmp(word(value), text) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

bool dtype_is_integer(enum cubby_dtype dtype) {
    return dtype <= CUBBY_DTYPE_UINT64;
}

bool dtype_is_scalar(enum cubby_dtype dtype) {
    return dtype_is_integer(dtype) || dtype == CUBBY_DTYPE_FLOAT32 || dtype == CUBBY_DTYPE_FLOAT64;
}

struct interval dtype_interval(enum cubby_dtype dtype) {
    static const struct interval INTERVALS[] = {
        [CUBBY_DTYPE_BOOL] = {0, 1},
        [CUBBY_DTYPE_INT8] = {INT8_MIN, INT8_MAX},
        [CUBBY_DTYPE_UINT8] = {0, UINT8_MAX},
        [CUBBY_DTYPE_INT16] = {INT16_MIN, INT16_MAX},
        [CUBBY_DTYPE_UINT16] = {0, UINT16_MAX},
        [CUBBY_DTYPE_INT32] = {INT32_MIN, INT32_MAX},
        [CUBBY_DTYPE_UINT32] = {0, UINT32_MAX},
        [CUBBY_DTYPE_INT64] = {INT64_MIN, INT64_MAX},
        [CUBBY_DTYPE_UINT64] = {0, INT64_MAX},
    };

    return INTERVALS[dtype];
}

bool dtype_holds_real(enum cubby_dtype dtype, double value) {
    return isfinite(value) && (dtype != CUBBY_DTYPE_FLOAT32 || fabs(value) <= (double)FLT_MAX);
}
