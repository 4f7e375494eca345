/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of engines that run share: a small engine, its kernels for the double, callers. */
#ifndef TESTS_RUNNER_HELP_H
#define TESTS_RUNNER_HELP_H

#include <stdbool.h>

#include <cubby/runner.h>

#include "driver_help.h"
#include "harness.h"

/* y = 2x + 1 for n numbers: twice.cu puts 2x into scratch, where it can be specialised for n, and
 * one.cu adds 1. */
struct line {
    struct cubby_engine_plan *plan;
    struct cubby_cache *cache;
    const char *folder;
};

/* Begins with the double, kernels that compute, and a cache in memory. */
void line_set_up(struct line *line);
void line_tear_down(struct line *line);

/* Its kernels compute from here on, as they do until the double is reset. */
void line_attach(void);

/* The same engine with another text of twice.cu. */
struct cubby_engine_plan *line_with(const struct line *line, const char *source);
extern const char TWICE[];

/* Where its numbers may lie: for n up to so many. */
#define LINE_NUMBERS 4096

/* An engine, with settings (NULL: the defaults). */
struct cubby_engine *engine_on(const struct line *line,
                               const struct cubby_runtime_settings *settings);

/* Runs it for n numbers, waits, and asserts that they are right. */
void run_line(struct cubby_engine *engine, int64_t n);

/* The same, and gives what enqueue or sync did; the numbers are right where it succeeded. */
int try_line(struct cubby_engine *engine, int64_t n, struct cubby_error *problem);

struct cubby_engine_stats stats_of_engine(struct cubby_engine *engine);

struct cubby_runtime_settings settings_of(enum cubby_specialization_strategy strategy);

/* A handle on a file of that name, or on nothing for NULL. */
struct cubby_runtime_cache *handle_for(const struct line *line, const char *name);

/* How many kernels a handle has. */
uint64_t kernels_in(struct cubby_runtime_cache *handle);

#endif
