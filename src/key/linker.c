/* SPDX-License-Identifier: Apache-2.0 */
#include "key/linker.h"

#include "key/program.h"
#include "util/error.h"

enum cubby_tool linker_choose(const struct linker_facts *facts) {
    if (!facts->has_nvjitlink || facts->nvjitlink_major < 12 ||
        (facts->nvjitlink_major == 12 && facts->nvjitlink_minor < 3))
        return CUBBY_TOOL_DRIVER;
    if (facts->has_driver && facts->driver_major != facts->nvjitlink_major)
        return CUBBY_TOOL_DRIVER;
    return CUBBY_TOOL_NVJITLINK;
}

/* ---- What the driver's linker can do ----------------------------------------------------- */

static bool driver_lacks(const struct option *option) {
    return option->effect != OPTION_DRIVER_TOO && option->effect != OPTION_DRIVER_NOT &&
           option->effect != OPTION_NEUTRAL;
}

static int check_driver(const struct cubby_program *program, const struct toolchain *driver,
                        struct cubby_error *error) {
    const char *why = "which is in use because no nvJitLink of its major version was found";

    for (size_t i = 0; i < program->options.count; i++) {
        if (driver_lacks(&program->options.items[i]))
            return error_set(error, CUBBY_ERR_INVALID,
                             "the option \"%s\" is not known to the linker of the CUDA %d.%d "
                             "driver, %s: install it, or leave the option out",
                             program->options.items[i].text, driver->major, driver->minor, why);
    }
    if (program->target != CUBBY_TARGET_CUBIN || program_links_ltoir(program))
        return error_set(error, CUBBY_ERR_UNSUPPORTED,
                         "%s: the linker of the CUDA %d.%d driver, %s, cannot %s: install it",
                         program->name, driver->major, driver->minor, why,
                         program_links_ltoir(program) ? "link LTO-IR" : "make PTX");
    return 0;
}

/* ---- Choosing ---------------------------------------------------------------------------- */

static int take_failed(enum cubby_tool tool, const struct cubby_error *problem,
                       const struct toolchain **ret_toolchain, struct cubby_error *error) {
    const struct toolchain *failed =
        problem->code == CUBBY_ERR_NO_MEMORY ? NULL : toolchain_failed(tool, problem);

    if (!failed)
        return error_no_memory(error);
    *ret_toolchain = failed;
    return 0;
}

static int find_nvvm(const struct toolchain_memory *memory, const struct toolchain **ret_toolchain,
                     struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    int result = toolchain_find(CUBBY_TOOL_NVVM, memory, ret_toolchain, &problem);

    if (result < 0)
        result = take_failed(CUBBY_TOOL_NVVM, &problem, ret_toolchain, error);
    cubby_error_clear(&problem);
    return result;
}

/* NULL for those that are missing. Where memory is short, which there are is not known. */
struct linkers {
    const struct toolchain *nvjitlink, *driver;
};

static int find_linkers(const struct toolchain_memory *memory, struct linkers *found,
                        struct cubby_error *problem) {
    int nvjitlink = toolchain_find(CUBBY_TOOL_NVJITLINK, memory, &found->nvjitlink, problem);
    int driver = toolchain_find(CUBBY_TOOL_DRIVER, memory, &found->driver, NULL);

    return nvjitlink == CUBBY_ERR_NO_MEMORY || driver == CUBBY_ERR_NO_MEMORY ? CUBBY_ERR_NO_MEMORY
                                                                             : 0;
}

static enum cubby_tool choose(const struct linkers *found) {
    struct linker_facts facts = {.has_nvjitlink = found->nvjitlink, .has_driver = found->driver};

    if (found->nvjitlink) {
        facts.nvjitlink_major = found->nvjitlink->major;
        facts.nvjitlink_minor = found->nvjitlink->minor;
    }
    if (found->driver)
        facts.driver_major = found->driver->major;
    return linker_choose(&facts);
}

static int find_linker(const struct cubby_program *program, const struct toolchain_memory *memory,
                       const struct toolchain **ret_toolchain, struct cubby_error *error) {
    struct cubby_error problem = CUBBY_ERROR_INIT;
    struct linkers found = {NULL, NULL};
    int result = find_linkers(memory, &found, &problem);

    if (result < 0) {
        error_no_memory(error);
    } else if (choose(&found) == CUBBY_TOOL_NVJITLINK) {
        *ret_toolchain = found.nvjitlink;
    } else if (found.driver) {
        result = check_driver(program, found.driver, error);
        if (result == 0)
            *ret_toolchain = found.driver;
    } else {
        /* Neither can be used; the one that a user can install is the one to ask for. */
        result = take_failed(CUBBY_TOOL_NVJITLINK, &problem, ret_toolchain, error);
    }
    cubby_error_clear(&problem);
    return result;
}

int toolchain_for_program(const struct cubby_program *program,
                          const struct toolchain_memory *memory,
                          const struct toolchain **ret_toolchain, struct cubby_error *error) {
    switch (program->kind) {
    case PROGRAM_PTX:
    case PROGRAM_LINK:
        return find_linker(program, memory, ret_toolchain, error);
    case PROGRAM_NVVM:
        return find_nvvm(memory, ret_toolchain, error);
    default:
        return toolchain_find(CUBBY_TOOL_NVRTC, memory, ret_toolchain, error);
    }
}
