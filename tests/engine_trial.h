/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engines run through the library's public functions, and what they compute beside the reference.
 * Asserts nothing: whatever is wrong is an error with a message, for tests of any kind.
 */
#ifndef TESTS_ENGINE_TRIAL_H
#define TESTS_ENGINE_TRIAL_H

#include <cubby/runner.h>

#include "engine_reference.h"

/* An example engine and a shape. */
struct engine_case {
    const char *engine;
    int64_t dims[REFERENCE_DIMS_MAX];
};

/* Ends of ranges, primes, multiples of tiles and one beside them: small enough for a CPU. */
extern const struct engine_case ENGINE_CASES[];
extern const size_t ENGINE_CASE_COUNT;

/* Shapes for engine_trial_queue(), of one engine each. */
#define ENGINE_QUEUE_LENGTH 4
struct engine_queue {
    const char *engine;
    int64_t shapes[ENGINE_QUEUE_LENGTH][REFERENCE_DIMS_MAX];
};
extern const struct engine_queue ENGINE_QUEUES[];
extern const size_t ENGINE_QUEUE_COUNT;

/* For a GPU, a part of whose results is compared. */
extern const struct engine_case ENGINE_LARGE_CASES[];
extern const size_t ENGINE_LARGE_CASE_COUNT;

/* Inputs and outputs on a device for one shape, and what the outputs are to be. */
struct engine_trial;

/*
 * Fills the inputs and computes what is expected.
 * rows: so many rows are compared, spread over all; 0 for every row
 */
int engine_trial_new(struct cubby_engine_plan *plan, const int64_t *dims, int device, size_t rows,
                     struct engine_trial **ret_trial, struct cubby_error *error);
void engine_trial_free(struct engine_trial *trial); /* NULL-safe */

/* The values of the dims, such as "3 17 19". */
#define ENGINE_SHAPE_SIZE 128
const char *engine_trial_shape(const struct engine_trial *trial, char text[ENGINE_SHAPE_SIZE]);

/* The buffers, borrowed from the trial, as cubby_engine_enqueue() takes them. */
const struct cubby_engine_call *engine_trial_call(const struct engine_trial *trial);

/* How many of the call's buffers are inputs: the first. */
size_t engine_trial_input_count(const struct engine_trial *trial);

/* Writes the inputs again, and numbers that are none into all outputs. The device has no work that
 * uses them. */
int engine_trial_refill(struct engine_trial *trial, struct cubby_error *error);

/* Compares the outputs with what was expected, once the work is done; as engine_trial_run(). */
int engine_trial_compare(struct engine_trial *trial, double *ret_worst, struct cubby_error *error);

/*
 * Runs the engine once, over outputs that were no numbers before, and compares. A difference is
 * CUBBY_ERR_CORRUPT, naming the shape, the number and the bound. *ret_worst, where it is not NULL,
 * is raised to the largest error met, as part of its bound.
 */
int engine_trial_run(struct engine_trial *trial, struct cubby_engine *engine, double *ret_worst,
                     struct cubby_error *error);

/*
 * Runs all of them, one behind the other without a wait, so many times, and compares in the end:
 * what one leaves on the device must not show in the next.
 */
int engine_trial_queue(struct engine_trial *const *trials, size_t count, unsigned rounds,
                       struct cubby_engine *engine, struct cubby_error *error);

/* The example engine of that name in the folder. */
int engine_trial_load(const char *folder, const char *engine, struct cubby_engine_plan **ret_plan,
                      struct cubby_error *error);

/* engine_trial_queue() with each of the shapes, each strategy, and before and after the specialised
 * kernels are there. */
int engine_trial_queues(const struct engine_queue *queue, const char *folder,
                        const struct cubby_engine_options *options, struct cubby_error *error);

/*
 * One engine with each strategy, each with and without graphs where the driver has them: lazy
 * before and after its kernels are there, eager, none; all of them right, and run by the kernels
 * that the strategy says, by the engine's own count.
 */
int engine_trial_strategies(struct engine_trial *trial, const struct cubby_engine_options *options,
                            double *ret_worst, struct cubby_error *error);

#endif
