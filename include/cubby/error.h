/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file error.h
 * What went wrong, in a form that both a program and a person can use.
 *
 * A function that can fail returns 0 or one of the negative codes below and
 * takes a `struct cubby_error *` last, which may be NULL. On success the error
 * is left untouched; on failure it is filled unless it holds an error already
 * (the first error wins). Every message names the thing that failed and says
 * what to do about it.
 *
 *     struct cubby_error error = CUBBY_ERROR_INIT;
 *     if (cubby_cache_open(spec, &cache, &error) < 0)
 *         fprintf(stderr, "%s\n", error.message);
 *     cubby_error_clear(&error);
 */
#ifndef CUBBY_ERROR_H
#define CUBBY_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** Codes that callers branch on. All are negative; 0 is success. */
enum cubby_code {
    CUBBY_OK = 0,
    CUBBY_ERR_NOT_FOUND = -1,    /**< no such entry, file or kernel */
    CUBBY_ERR_COMPILE = -2,      /**< the compiler refused the program; see cubby_error.log */
    CUBBY_ERR_NO_TOOLCHAIN = -3, /**< a compiler library is missing or unusable */
    CUBBY_ERR_NO_DRIVER = -4,    /**< no GPU driver or no device */
    CUBBY_ERR_INVALID = -5,      /**< the caller's input is wrong */
    CUBBY_ERR_BUSY = -6,    /**< a wait reached its time-out, or what is asked for is in use now */
    CUBBY_ERR_CORRUPT = -7, /**< stored bytes are damaged */
    CUBBY_ERR_IO = -8,      /**< the system refused an operation; see cubby_error.os_error */
    CUBBY_ERR_NO_MEMORY = -9,    /**< out of memory */
    CUBBY_ERR_UNSUPPORTED = -10, /**< this build, backend or toolchain cannot do that */
};

/** Longest message, its final NUL included. */
#define CUBBY_MESSAGE_SIZE 1024

/** An error as the caller sees it; owned by the caller, usable on the stack. */
struct cubby_error {
    int code;                         /**< enum cubby_code; 0 while there is none */
    int os_error;                     /**< errno where the system said no, else 0 */
    int tool_error;                   /**< NVRTC's or the driver's own code, else 0 */
    char *log;                        /**< the compiler's log (owned), else NULL */
    char message[CUBBY_MESSAGE_SIZE]; /**< one sentence, UTF-8, no newline at the end */
};

/** Initial value of a struct cubby_error. */
#define CUBBY_ERROR_INIT                                                                           \
    { 0 }

/** Frees the log and makes the error empty again. NULL-safe. */
void cubby_error_clear(struct cubby_error *error);

/** The name of a code, such as "NOT_FOUND"; a static string, never NULL. */
const char *cubby_code_name(int code);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
