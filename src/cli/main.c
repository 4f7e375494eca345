/* SPDX-License-Identifier: Apache-2.0 */
/* The command's entry: common options, then the verb. */
#include <argp.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "os/env.h"

struct verb {
    const char *name;
    verb_function *run;
    const char *summary;
};

static const struct verb VERBS[] = {
    {"compile", verb_compile, "compile CUDA C++, PTX or NVVM IR through the cache"},
    {"link", verb_link, "link LTO-IR, PTX, cubins, objects and libraries through the cache"},
    {"run", verb_run, "run an engine on the GPU, and time it"},
    {"prewarm", verb_prewarm, "compile engines and sources ahead of time; needs no GPU"},
    {"key", verb_key, "print the key of a program; --explain shows what is in it"},
    {"explain", verb_explain, "say why a program is not in the cache"},
    {"stats", verb_stats, "print what the stores hold and what happened to them"},
    {"ls", verb_ls, "list the stored objects"},
    {"show", verb_show, "describe one stored object"},
    {"get", verb_get, "write one stored object to a file"},
    {"rm", verb_rm, "remove stored objects"},
    {"clear", verb_clear, "remove everything from the stores"},
    {"verify", verb_verify, "check everything that is stored; --repair removes what is damaged"},
    {"trim", verb_trim, "remove what was used least recently"},
    {"export", verb_export, "write what is stored to an archive"},
    {"import", verb_import, "put the entries of an archive into the stores"},
    {"doctor", verb_doctor, "show what was found on this machine"},
};

static const struct verb *find_verb(const char *name) {
    for (size_t i = 0; i < sizeof(VERBS) / sizeof(*VERBS); i++) {
        if (strcmp(VERBS[i].name, name) == 0)
            return &VERBS[i];
    }
    return NULL;
}

/* ---- The command line up to the verb ----------------------------------------------------- */

struct global_input {
    struct verb_input shared; /* first: the input of cli_argp */
    const struct verb *verb;
    int verb_index;
};

static error_t parse_global(int key, char *argument, struct argp_state *state) {
    struct global_input *input = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &input->shared;
        return 0;
    case ARGP_KEY_ARG:
        input->verb = find_verb(argument);
        if (!input->verb)
            argp_error(state, "\"%s\" is not a verb", argument);
        input->verb_index = state->next - 1;
        state->next = state->argc; /* what follows is the verb's */
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a verb is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Lists the verbs below the options. */
static char *help_filter(int key, const char *text, void *input) {
    char *list = NULL;
    size_t size;
    FILE *out;

    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    out = open_memstream(&list, &size);
    if (!out)
        return (char *)text;
    fputs("Verbs:\n", out);
    for (size_t i = 0; i < sizeof(VERBS) / sizeof(*VERBS); i++)
        fprintf(out, "  %-9s %s\n", VERBS[i].name, VERBS[i].summary);
    fputs("\n`cubby VERB --help' tells more of each. Exit status: 0 done, 1 the compiler refused a "
          "program, 2 wrong usage, 3 toolchain, driver or device missing, 4 the store failed where "
          "the store itself was asked for.\n",
          out);
    fclose(out);
    return list;
}

static const struct argp_child GLOBAL_CHILDREN[] = {{&cli_argp, 0, NULL, 0}, {0}};
static const struct argp GLOBAL_ARGP = {
    NULL,
    parse_global,
    "VERB [ARGUMENT...]",
    "Keeps programs that are compiled at run time for the GPU, so that none is compiled twice.\v ",
    GLOBAL_CHILDREN,
    help_filter,
    NULL};

/* ---- Log lines --------------------------------------------------------------------------- */

/* What is wanted may still change while the verb reads its own options. */
static enum cubby_log_level wanted_level(const struct cli *cli) {
    static const char *const NAMES[] = {"error", "warn", "info", "debug"};
    const char *wanted = env_get("CUBBY_LOG");

    for (size_t i = 0; wanted && i < sizeof(NAMES) / sizeof(*NAMES); i++) {
        if (strcmp(wanted, NAMES[i]) == 0)
            return (enum cubby_log_level)i;
    }
    return cli->quiet ? CUBBY_LOG_ERROR : cli->verbose ? CUBBY_LOG_DEBUG : CUBBY_LOG_WARN;
}

static void print_log(enum cubby_log_level level, const char *line, void *context) {
    static const char *const NAMES[] = {"error", "warning", "info", "debug"};

    if (level <= wanted_level(context))
        fprintf(stderr, "cubby: %s: %s\n", NAMES[level], line);
}

static void print_version(FILE *stream, struct argp_state *state) {
    (void)state;
    fprintf(stream, "cubby %s\n", cubby_version());
}

/* A file that is opened later must not become a standard stream that the caller closed: what is
 * written there would end in it. Each is opened so that its use still fails. */
static void hold_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return;
    }
}

int main(int argc, char **argv) {
    struct cli cli = {0};
    struct global_input input = {.shared = {&cli, NULL}};
    int status;

    hold_streams();
    setlocale(LC_CTYPE, "");
    setvbuf(stderr, NULL, _IOLBF,
            BUFSIZ); /* a line is one write, whole also beside other writers */
    argp_err_exit_status = STATUS_USAGE;
    argp_program_version_hook = print_version;
    parse_arguments(&GLOBAL_ARGP, argc, argv, ARGP_IN_ORDER, &input);
    cubby_log_set(print_log, CUBBY_LOG_DEBUG, &cli);
    status = input.verb->run(&cli, argc - input.verb_index, argv + input.verb_index);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "cubby: standard output could not be written\n");
        return status == STATUS_OK ? STATUS_USAGE : status;
    }
    return status;
}
