/* SPDX-License-Identifier: Apache-2.0 */
/* The words of an engine file, and what the types can hold. */
#ifndef CUBBY_ENGINE_TYPES_H
#define CUBBY_ENGINE_TYPES_H

#include <stdbool.h>

#include <cubby/engine.h>

/* From low to high, both included. */
struct interval {
    int64_t low;
    int64_t high;
};

/* The words of each enumeration by number, NULL past the last. */
const char *dtype_word(int value);
const char *role_word(int value);
const char *access_word(int value);
const char *operator_word(int value);

/* The number of a word; false where it is none of them. */
bool word_find(const char *(*word)(int), const char *text, int *ret_value);

bool dtype_is_integer(enum cubby_dtype dtype);
/* True for what can be given to a kernel as a number. */
bool dtype_is_scalar(enum cubby_dtype dtype);
/* What an integer type holds; of uint64 only what an int64_t can say. */
struct interval dtype_interval(enum cubby_dtype dtype);
/* True if the number is finite and within the range of the float type. */
bool dtype_holds_real(enum cubby_dtype dtype, double value);

#endif
