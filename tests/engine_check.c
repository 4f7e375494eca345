/* SPDX-License-Identifier: Apache-2.0 */
/* For tests in scripts: reads engine files, one a line, and says of each "ok" or what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/engine.h>

/* Sources are looked for in the folder of the first argument. */
int main(int argc, char **argv) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;

    while ((size = getline(&line, &capacity, stdin)) > 0) {
        struct cubby_error error = CUBBY_ERROR_INIT;
        struct cubby_engine_plan *plan = NULL;
        int result =
            cubby_engine_plan_parse(line, (size_t)size, argc > 1 ? argv[1] : NULL, &plan, &error);

        puts(result == 0 ? "ok" : error.message);
        cubby_engine_plan_unref(plan);
        cubby_error_clear(&error);
    }
    free(line);
    return EXIT_SUCCESS;
}
