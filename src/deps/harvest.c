/* SPDX-License-Identifier: Apache-2.0 */
#include "deps/harvest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deps/header_text.h"
#include "deps/search.h"

/* One harvest under way. */
struct harvest {
    const struct cubby_program *program;
    const struct harvest_trace *trace;
    size_t looked; /* how many texts were looked through for includes, this one not counted */
    struct macro_includes macro_includes; /* of which the trace does not tell */
    struct search search;
    struct header_texts texts;
    struct names macros;
    struct names argument_words; /* of what was given to macros that ask for files */
    struct deps *deps;
    bool has_macro_include; /* the text includes what only the preprocessor can name */
    const char *from;       /* path of the text that is looked through */
    char *reason;           /* "" while all is well */
    int result;             /* 0 while memory suffices */
};

/* Where a name was looked for, and what was there. */
struct place {
    char *path;
    enum dep_kind kind; /* DEP_PRESENT, DEP_MISSING or DEP_UNUSABLE */
    struct file_stamp stamp;
};

struct places {
    struct place *items;
    size_t count;
};

__attribute__((format(printf, 2, 3))) static void give_up(struct harvest *harvest,
                                                          const char *format, ...) {
    va_list arguments;

    if (harvest->reason[0])
        return; /* the first reason stays */
    va_start(arguments, format);
    vsnprintf(harvest->reason, HARVEST_REASON_SIZE, format, arguments);
    va_end(arguments);
}

static void give_up_at(struct harvest *harvest, const struct scan_reference *reference,
                       const char *why) {
    give_up(harvest, "%.80s, \"%.*s\": %s", harvest->from,
            (int)(reference->what_length < 60 ? reference->what_length : 60), reference->what, why);
}

/* ---- What the places of a name mean ------------------------------------------------------ */

/* Notes what is at a place; text: what was read there, NULL where only its being there counts. */
static void note(struct harvest *harvest, const struct place *place,
                 const struct header_text *text) {
    struct dep dep = {.path = strdup(place->path), .kind = place->kind};

    if (place->kind == DEP_PRESENT)
        dep.stamp = place->stamp;
    if (text) {
        dep.kind = DEP_FILE;
        dep.stamp = text->stamp;
        dep.digest = text->digest;
    }
    deps_add(harvest->deps, &dep);
}

/* The same file may have been read under several names. */
static bool explain(struct harvest *harvest, const struct file_stamp *stamp) {
    struct header_text *text = header_texts_find(&harvest->texts, stamp, 0);
    bool found = text != NULL;

    while (text) {
        text->explained = true;
        text = header_texts_find(&harvest->texts, stamp, (size_t)(text - harvest->texts.items) + 1);
    }
    return found;
}

static bool has_text(const struct harvest *harvest, const char *path) {
    for (size_t i = 0; i < harvest->texts.count; i++) {
        if (harvest->texts.items[i].is_file && strcmp(harvest->texts.items[i].path, path) == 0)
            return true;
    }
    return false;
}

static void add_file(struct harvest *harvest, const char *path) {
    int result = header_texts_add_file(&harvest->texts, path);

    if (result == CUBBY_ERR_NOT_FOUND)
        give_up(harvest, "the header %.180s vanished while the program was compiled", path);
    else if (result < 0)
        harvest->result = result;
}

/* True if the file at this place was read for all that is known. Without a whole trace everything
 * that could be included was: the texts grow as they are looked through. */
static bool was_read(struct harvest *harvest, const struct place *place) {
    if (!harvest->trace->is_whole && !has_text(harvest, place->path))
        add_file(harvest, place->path);
    return explain(harvest, &place->stamp);
}

/* Looks at the places of a name in their order, up to the first readable file or at all of them. */
static void look_at_places(struct harvest *harvest, const struct scan_reference *reference,
                           bool all, struct places *places) {
    const char *from = reference->quoted ? harvest->from : NULL;
    bool end = false;

    places->count = 0;
    places->items = calloc(search_places(&harvest->search), sizeof(*places->items));
    while (places->items) {
        struct place *place = &places->items[places->count];

        place->path = search_place(&harvest->search, from, reference->spelling, reference->length,
                                   places->count, &end);
        if (!place->path)
            break;
        places->count++;
        place->kind = dep_look(place->path, &place->stamp);
        if (place->kind == DEP_PRESENT && !all)
            return;
    }
    if (!end)
        harvest->result = CUBBY_ERR_NO_MEMORY;
}

static void free_places(struct places *places) {
    for (size_t i = 0; i < places->count; i++)
        free(places->items[i].path);
    free(places->items);
}

/* True if the places end at a file that was read. */
static bool lead_to_read_file(struct harvest *harvest, const struct places *places) {
    const struct place *last = places->count > 0 ? &places->items[places->count - 1] : NULL;

    return last && last->kind == DEP_PRESENT && was_read(harvest, last);
}

/* Notes what must stay as it is for an include to find what it found. */
static void note_include(struct harvest *harvest, const struct places *places) {
    for (size_t i = 0; i < places->count; i++) {
        const struct place *place = &places->items[i];

        if (place->kind != DEP_PRESENT)
            note(harvest, place, NULL);
        else if (was_read(harvest, place))
            note(harvest, place, header_texts_find(&harvest->texts, &place->stamp, 0));
    }
}

static bool is_in_memory(struct harvest *harvest, const struct scan_reference *reference) {
    char *name = strndup(reference->spelling, reference->length);
    bool found = name && program_has_header(harvest->program, name);

    if (!name)
        harvest->result = CUBBY_ERR_NO_MEMORY;
    free(name);
    return found;
}

/* ---- Looking through the texts ----------------------------------------------------------- */

/* The compiler refuses an empty name; so where one stands, it is a comment or the like. */
static bool is_empty(const struct scan_reference *reference) {
    return reference->spelling && reference->length == 0;
}

/* A trace that is not whole lacks the headers that the source itself includes, the first text. */
static bool trace_tells(const struct harvest *harvest) {
    return harvest->trace->is_whole || (harvest->trace->is_there && harvest->looked > 0);
}

static void on_include(const struct scan_reference *reference, void *context) {
    struct harvest *harvest = context;
    bool all = reference->kind == SCAN_INCLUDE_NEXT;
    struct places places;

    if (reference->kind == SCAN_OTHER) {
        give_up_at(harvest, reference, "what it reads is not tracked");
        return;
    }
    if (!reference->spelling) {
        harvest->has_macro_include = true;
        if (!trace_tells(harvest))
            macro_includes_add(&harvest->macro_includes, harvest->looked, reference);
        return;
    }
    if (is_empty(reference) || (!all && is_in_memory(harvest, reference)))
        return;
    look_at_places(harvest, reference, all, &places);
    /* What was not read is in a branch not taken; without a trace it may have been tried. */
    if (all || !harvest->trace->is_whole || lead_to_read_file(harvest, &places))
        note_include(harvest, &places);
    free_places(&places);
}

static void add_words(struct names *words, const char *text, size_t size) {
    const char *end = text + size;

    while (text < end) {
        const char *word_end = scan_word_end(text, end);

        if (word_end > text)
            names_add(words, text, (size_t)(word_end - text));
        text = word_end > text ? word_end : text + 1;
    }
}

static void on_probe(const struct scan_reference *reference, void *context) {
    struct harvest *harvest = context;
    bool all = reference->kind == SCAN_PROBE_NEXT;
    struct places places;

    if (reference->kind == SCAN_OTHER || !reference->spelling) {
        give_up_at(harvest, reference, "which file it asks for cannot be told; write its name");
        return;
    }
    if (is_empty(reference) || (!all && is_in_memory(harvest, reference)))
        return;
    if (reference->by_macro)
        add_words(&harvest->argument_words, reference->spelling, reference->length);
    look_at_places(harvest, reference, all, &places);
    for (size_t i = 0; i < places.count; i++)
        note(harvest, &places.items[i], NULL);
    free_places(&places);
}

/* Without a whole trace the list of texts grows while this runs. */
static void look_for_includes(struct harvest *harvest) {
    for (; harvest->looked < harvest->texts.count && harvest->result == 0; harvest->looked++) {
        struct scan_text scan = harvest->texts.items[harvest->looked].scan;

        harvest->from = harvest->texts.items[harvest->looked].path;
        harvest->has_macro_include = false;
        scan_includes(&scan, on_include, harvest);
        harvest->texts.items[harvest->looked].has_macro_include = harvest->has_macro_include;
    }
}

/* Macros defined in one text serve in another, so the set has to be whole before it is used. */
static void look_for_probes(struct harvest *harvest) {
    size_t before;

    do {
        before = harvest->macros.count;
        for (size_t i = 0; i < harvest->texts.count; i++)
            scan_probe_macros(&harvest->texts.items[i].scan, &harvest->macros);
    } while (harvest->macros.count > before);
    for (size_t i = 0; i < harvest->texts.count && harvest->result == 0; i++) {
        harvest->from = harvest->texts.items[i].path;
        scan_probes(&harvest->texts.items[i].scan, &harvest->macros, on_probe, harvest);
    }
}

/* What a macro is given is expanded before it gets it: HAS(<lib/a.h>) after "#define lib other". */
static void on_definition(const char *name, size_t length, void *context) {
    struct harvest *harvest = context;
    char *word = strndup(name, length);

    if (!word)
        harvest->result = CUBBY_ERR_NO_MEMORY;
    else if (names_has(&harvest->argument_words, word))
        give_up(harvest, "%.80s defines %.60s, which changes what __has_include is asked for",
                harvest->from, word);
    free(word);
}

static void check_definitions(struct harvest *harvest) {
    if (harvest->argument_words.count == 0)
        return;
    for (size_t i = 0; i < harvest->texts.count && harvest->result == 0; i++) {
        harvest->from = harvest->texts.items[i].path;
        scan_definitions(&harvest->texts.items[i].scan, on_definition, harvest);
    }
    harvest->from = "an option";
    for (size_t i = 0; i < harvest->program->options.count; i++) {
        const char *text = harvest->program->options.items[i].text;

        if (strncmp(text, "-D=", 3) == 0)
            on_definition(text + 3,
                          (size_t)(scan_word_end(text + 3, text + strlen(text)) - text - 3),
                          harvest);
    }
}

/* ---- Includes through macros, where the compiler does not tell --------------------------- */

static void on_macro_include(size_t text, const struct scan_reference *reference, void *context) {
    struct harvest *harvest = context;

    harvest->from = harvest->texts.items[text].path;
    if (harvest->result == 0)
        on_include(reference, harvest);
}

static void look_for_macro_includes(struct harvest *harvest) {
    const struct harvest_trace *trace = harvest->trace;
    struct macro_includes *includes = &harvest->macro_includes;
    char *reason;

    while (harvest->result == 0 &&
           macro_includes_read(includes, &harvest->texts, &harvest->program->options,
                               on_macro_include, harvest))
        look_for_includes(harvest);
    if (harvest->result == 0 && !harvest->reason[0]) {
        reason = macro_includes_check(includes, &harvest->texts, trace->predefined, trace->context);
        if (reason)
            give_up(harvest, "%s", reason);
        free(reason);
    }
    if (includes->failed)
        harvest->result = CUBBY_ERR_NO_MEMORY;
}

/* ---- What options read ------------------------------------------------------------------- */

/* A pre-included file is looked for in the current folder, whatever else, and then as others. */
static void look_for_pre_includes(struct harvest *harvest) {
    const struct options *options = &harvest->program->options;
    bool beside = harvest->search.beside;

    harvest->search.beside = true;
    harvest->from = "";
    for (size_t i = 0; i < options->count; i++) {
        const char *name = option_value(&options->items[i]);
        struct scan_reference reference = {.kind = SCAN_INCLUDE,
                                           .spelling = name,
                                           .length = strlen(name),
                                           .quoted = true,
                                           .what = options->items[i].text,
                                           .what_length = strlen(options->items[i].text)};

        if (options->items[i].effect == OPTION_PRE_INCLUDE)
            on_include(&reference, harvest);
    }
    harvest->search.beside = beside;
}

/* Macros of the command line are not looked through: -DHAS(x)=__has_include(x). */
static void check_defines(struct harvest *harvest) {
    const struct options *options = &harvest->program->options;

    for (size_t i = 0; i < options->count && harvest->result == 0; i++) {
        const char *text = options->items[i].text;

        if (strstr(text, "__has_"))
            give_up(harvest, "the option \"%.100s\": which file it asks for cannot be told", text);
    }
}

/* ---- Headers that no text names ---------------------------------------------------------- */

/* What follows a folder in a path; NULL where the path does not begin with it. */
static const char *below(const char *path, const char *folder, size_t length) {
    if (strncmp(path, folder, length) != 0)
        return NULL;
    path += length;
    if (length > 0 && folder[length - 1] != '/' && *path++ != '/')
        return NULL;
    return path;
}

/* Looks in every folder where a macro's include could have begun its search for the name. */
static void note_elsewhere(struct harvest *harvest, const char *name) {
    struct scan_reference reference = {
        .kind = SCAN_INCLUDE_NEXT, .spelling = name, .length = strlen(name), .quoted = true};

    for (size_t i = 0; i < harvest->texts.count; i++) {
        struct places places;

        if (!harvest->texts.items[i].has_macro_include)
            continue;
        harvest->from = harvest->texts.items[i].path;
        look_at_places(harvest, &reference, true, &places);
        note_include(harvest, &places);
        free_places(&places);
    }
}

/*
 * A header that was included through a macro: what the macro said is what remains of the path
 * behind some folder of the search. Each such reading is taken as the true one.
 */
static void note_macro_include(struct harvest *harvest, const char *path) {
    const char *name;

    for (size_t i = 0; i < harvest->search.count; i++) {
        const char *folder = harvest->search.folders[i];

        if ((name = below(path, folder, strlen(folder))))
            note_elsewhere(harvest, name);
    }
    for (size_t i = 0; i < harvest->texts.count; i++) {
        const struct header_text *from = &harvest->texts.items[i];

        if (from->has_macro_include &&
            (name = below(path, from->path, search_folder_length(from->path))))
            note_elsewhere(harvest, name);
    }
}

static bool any_macro_include(const struct harvest *harvest) {
    for (size_t i = 0; i < harvest->texts.count; i++) {
        if (harvest->texts.items[i].has_macro_include)
            return true;
    }
    return false;
}

static void look_for_unexplained(struct harvest *harvest) {
    for (size_t i = 0; i < harvest->texts.count; i++) {
        const struct header_text *text = &harvest->texts.items[i];

        if (!text->is_file || text->explained)
            continue;
        if (any_macro_include(harvest))
            note_macro_include(harvest, text->path);
        else
            give_up(harvest,
                    "%.120s was read, but no text includes it any more: something changed while "
                    "the program was compiled",
                    text->path);
    }
}

/* ---- The whole --------------------------------------------------------------------------- */

static void add_memory(struct harvest *harvest, const char *name, const struct source *source) {
    int result =
        header_texts_add_memory(&harvest->texts, name, source_text(source), source_size(source));

    if (result < 0)
        harvest->result = result;
}

static bool is_readable(const char *path) {
    struct file_stamp stamp;

    return dep_look(path, &stamp) == DEP_PRESENT;
}

/* A header of that name may have come from memory, or be NVRTC's own. Where there is a file of that
 * name as well, it counts as read. */
static void add_traced(struct harvest *harvest, const char *path) {
    bool may_be_no_file =
        program_has_header(harvest->program, path) || strncmp(path, "__nv_", 5) == 0;
    size_t before = harvest->texts.count;

    if (has_text(harvest, path) || (may_be_no_file && !is_readable(path)))
        return;
    add_file(harvest, path);
    if (may_be_no_file && harvest->texts.count > before)
        harvest->texts.items[before].explained = true;
}

static void collect_texts(struct harvest *harvest) {
    const struct cubby_program *program = harvest->program;
    const struct names *headers = &harvest->trace->headers;

    add_memory(harvest, program->name, program->source);
    for (size_t i = 0; i < program->header_count; i++)
        add_memory(harvest, program->headers[i].name, program->headers[i].source);
    for (size_t i = 0; i < headers->count && harvest->result == 0; i++)
        add_traced(harvest, headers->items[i]);
}

/* Words that the compile's time or the file system decide, and that no one keeps track of. */
static void check_words(struct harvest *harvest, const struct header_text *text) {
    struct pieces pieces = {0};
    struct scan_words words;
    const char *made;

    scan_words(&text->scan, &words);
    if (words.volatile_macro)
        give_up(harvest, "the header %.120s uses %s, which changes with every compile", text->path,
                words.volatile_macro);
    if (!words.pastes)
        return;
    pieces_add(&pieces, text->scan.start, (size_t)(text->scan.end - text->scan.start));
    made = pieces_word(&pieces);
    if (made)
        give_up(harvest, "the header %.120s can make %s out of pieces with ##", text->path, made);
}

/* The files themselves, under the names by which they were read. */
static void note_texts(struct harvest *harvest, int64_t started_ns) {
    for (size_t i = 0; i < harvest->texts.count; i++) {
        const struct header_text *text = &harvest->texts.items[i];
        struct place place = {.path = text->path, .kind = DEP_FILE};

        if (!text->is_file)
            continue;
        check_words(harvest, text);
        if (!file_stamp_before(&text->stamp, started_ns))
            give_up(harvest, "the header %.180s changed while the program was compiled",
                    text->path);
        note(harvest, &place, text);
    }
}

static void check_probed(struct harvest *harvest, int64_t started_ns) {
    for (size_t i = 0; i < harvest->deps->count; i++) {
        const struct dep *dep = &harvest->deps->items[i];

        if (dep->kind == DEP_PRESENT && !file_stamp_before(&dep->stamp, started_ns))
            give_up(harvest, "%.180s changed while the program was compiled", dep->path);
    }
}

int harvest(const struct cubby_program *program, const struct harvest_trace *trace,
            int64_t started_ns, struct deps *ret_deps, char ret_reason[HARVEST_REASON_SIZE]) {
    struct harvest harvest = {
        .program = program, .trace = trace, .deps = ret_deps, .reason = ret_reason};

    *ret_deps = (struct deps)DEPS_INIT;
    ret_deps->settled_ns = file_stamp_settled_ns();
    ret_reason[0] = '\0';
    harvest.result = search_open(program, &harvest.search);
    if (harvest.result == 0) {
        collect_texts(&harvest);
        check_defines(&harvest);
        look_for_pre_includes(&harvest);
        look_for_includes(&harvest);
        look_for_macro_includes(&harvest);
        look_for_probes(&harvest);
        check_definitions(&harvest);
        if (trace->is_there)
            look_for_unexplained(&harvest);
        note_texts(&harvest, started_ns);
        check_probed(&harvest, started_ns);
        if (!deps_sort(ret_deps))
            give_up(&harvest, "a header changed while the program was compiled");
    }
    if (harvest.macros.failed || harvest.argument_words.failed || ret_deps->failed)
        harvest.result = CUBBY_ERR_NO_MEMORY;
    names_free(&harvest.macros);
    names_free(&harvest.argument_words);
    macro_includes_free(&harvest.macro_includes);
    header_texts_free(&harvest.texts);
    search_close(&harvest.search);
    if (harvest.result == 0 && ret_reason[0])
        harvest.result = CUBBY_ERR_UNSUPPORTED;
    return harvest.result;
}
