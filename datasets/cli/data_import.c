/* SPDX-License-Identifier: MIT */
/* data_import.c - deer-data import: other people's datasets as demonstrations. */
#include <stdio.h>
#include <string.h>

#include "datasets/cli/data_commands.h"
#include "datasets/cli/data_orient.h"
#include "datasets/cli/data_parts.h"
#include "datasets/sources/source.h"
#include "runtime/base/file.h"
#include "runtime/base/machine_failure.h"
#include "runtime/cli/tool.h"

enum { PART_EPISODES = 32, KINDS = 8 };

typedef struct {
    source_options options;
    file_list given[KINDS]; /* of each kind of source */
    const char *out;
    long first, limit, threads, each, rotate, seed;
    bool skip_bad, flip;
    const source_kind *kind;
    void *source;
    parts_sum sum;
    int chosen, guessed; /* episodes with one of several wordings, with a file's name */
    tool_progress bar;
} job;

/* ---------------------------------------------------------------- episodes ----------------- */

static deer_status read_episode(job *j, int i, demo_episode *e, deer_error *err)
{
    deer_status status = j->kind->read(j->source, (int)j->first + i, e, err);

    if (status)
        return status;
    status = orient(e, (int)j->rotate, j->flip, err);
    if (status)
        demo_episode_free(e);
    return status;
}

/* Episodes [first, end) of the source into a file; none of them may be fit for it. */
static deer_status write_episodes(job *j, int first, int end, demos_writer *w, parts_sum *made,
                                  deer_error *err)
{
    for (int i = first; i < end; i++) {
        unsigned before = machine_failures();
        demo_episode e;
        deer_status status = read_episode(j, i, &e, err);

        if (!status) {
            status = demos_writer_add(w, &e, err);
            demo_episode_free(&e);
            if (status)
                return status;
            made->steps += e.steps;
            made->kept++;
            j->chosen += e.wordings > 1;
            j->guessed += e.guessed;
        } else if (j->skip_bad && machine_failures() == before) {
            fprintf(stderr, "skipped: %s\n", err->message);
            made->skipped++;
        } else {
            return status;
        }
        tool_progress_update(&j->bar, i + 1);
    }
    return DEER_OK;
}

static deer_status import_part(job *j, const parts *p, int k, deer_error *err)
{
    parts_sum made = {0, 0, 0};
    char path[4352];
    demos_writer *w;
    deer_status status;

    parts_file(p, k, path);
    if (demos_writer_open(path, j->kind->env_args, &w, err))
        return DEER_FAILED;
    status = write_episodes(j, parts_first(p, k), parts_end(p, k), w, &made, err);
    if (!status && made.kept)
        status = demos_writer_finish(w, err);
    else
        demos_writer_abandon(w);
    if (!status)
        status = parts_note(p, k, &made, err);
    j->sum.kept += made.kept;
    j->sum.skipped += made.skipped;
    j->sum.steps += made.steps;
    return status;
}

static deer_status import_parts(job *j, const parts *p, deer_error *err)
{
    deer_status status = DEER_OK;

    tool_progress_start(&j->bar, "import", "episodes", p->episodes);
    for (int k = 0; k < p->count && !status; k++) {
        if (!parts_have(p, k, &j->sum))
            status = import_part(j, p, k, err);
        tool_progress_update(&j->bar, parts_end(p, k));
    }
    tool_progress_end(&j->bar);
    if (!status && !j->sum.kept)
        status = deer_fail(err, "%s has no episode that can be read", j->options.path[0]);
    return status ? status : parts_join(p, j->kind->env_args, err);
}

/* ---------------------------------------------------------------- the import --------------- */

/* A name that cannot be written to, or that is one of the sources, is found before the work. */
static deer_status check_out(const job *j, deer_error *err)
{
    if (file_check_output(j->out, err))
        return DEER_FAILED;
    for (int i = 0; i < j->options.paths; i++) {
        unsigned before = machine_failures();

        if (!file_overlap(j->out, j->options.path[i]))
            continue;
        if (machine_failures() != before)
            return file_overlap_unknown(j->out, j->options.path[i], err);
        return deer_fail(err, "--out %s is, or is inside of, what is to be imported: %s", j->out,
                         j->options.path[i]);
    }
    return DEER_OK;
}

/* What is imported, and how: a folder of parts of anything else is not gone on with. */
static void identify(const job *j, char source[DEER_FINGERPRINT])
{
    char of_source[DEER_FINGERPRINT], text[DEER_FINGERPRINT + 128];

    j->kind->fingerprint(j->source, of_source);
    snprintf(text, sizeof text, "%s %s %ld %ld %d", j->kind->name, of_source, j->first, j->rotate,
             (int)j->flip);
    source_hash(text, strlen(text), source);
}

static deer_status import_source(job *j, deer_error *err)
{
    char source[DEER_FINGERPRINT];
    int there = j->kind->count(j->source), n;
    parts p;
    deer_status status;

    if (j->first >= there)
        return deer_fail(err, "%s has episodes 0 to %d", j->options.path[0], there - 1);
    n = there - (int)j->first < j->limit ? there - (int)j->first : (int)j->limit;
    identify(j, source);
    status = parts_open(j->out, source, n, (int)j->each, &p, err);
    if (!status) {
        status = import_parts(j, &p, err);
        parts_close(&p);
    }
    return status;
}

/* A path that is clearly for another option is said to be. */
static deer_status check_kind(const job *j, deer_error *err)
{
    const char *path = j->options.path[0];
    const source_kind *is = j->kind->probe(path) ? j->kind : source_of(path, err);

    return is && is != j->kind
               ? deer_fail(err, "%s is a dataset for --%s, not --%s", path, is->name, j->kind->name)
               : DEER_OK;
}

static deer_status run(job *j, deer_error *err)
{
    deer_status status = check_out(j, err);

    if (!status)
        status = check_kind(j, err);
    if (!status)
        status = j->kind->open(&j->options, &j->source, err);
    if (!status)
        status = import_source(j, err);
    j->kind->close(j->source);
    return status;
}

/* ---------------------------------------------------------------- command ------------------ */

static const char example[] =
    "deer-data import --calvin task_D_D/validation --out validation.h5\n"
    "deer-data import --calvin task_D_D/training --limit 200 --skip-bad --out some.h5\n"
    "deer-data import --hdf5 libero_goal/*.hdf5 --flip --out goal.h5\n"
    "deer-data import --lerobot pusht --action-scale minmax --out pusht.h5\n"
    "deer-data import --hdf5 low_dim.hdf5 --mask valid --instruction \"lift the cube\" --out v.h5";

/* The options of an import behind one of each kind of source; NULL behind the last. */
static void list_options(job *j, tool_option *to)
{
    source_options *o = &j->options;
    const tool_option options[] = {
        {"out", TOOL_FILE, &j->out, "FILE", "demonstrations file to write (required)"},
        {"first", TOOL_INT, &j->first, "I", "begin with this episode, counted from 0 (default 0)"},
        {"limit", TOOL_INT, &j->limit, "N", "only so many episodes (default: all)"},
        {"instruction", TOOL_STRING, &o->instruction, "TEXT", "instead of the recorded ones"},
        {"static-camera", TOOL_STRING, &o->static_camera, "NAME",
         "its name there (default: the usual names)"},
        {"gripper-camera", TOOL_STRING, &o->gripper_camera, "NAME", "the same on the wrist"},
        {"action-columns", TOOL_STRING, &o->actions, "LIST",
         "seven numbers or names: which of a wider action"},
        {"action-scale", TOOL_STRING, &o->scale, "HOW",
         "LeRobot: minmax or quantile, of its statistics, map actions to -1..1"},
        {"flip", TOOL_FLAG, &j->flip, NULL, "turn images upside down (LIBERO, robosuite)"},
        {"rotate", TOOL_INT, &j->rotate, "D", "turn images by 90, 180 or 270 degrees clockwise"},
        {"annotations", TOOL_STRING, &o->annotations, "NAME",
         "CALVIN: folder of the annotations (default lang_annotations)"},
        {"mask", TOOL_STRING, &o->mask, "KEY", "HDF5: only what mask/KEY of each file lists"},
        {"split", TOOL_STRING, &o->split, "NAME", "RLDS: which split of several (all: every one)"},
        {"partial", TOOL_FLAG, &o->partial, NULL,
         "RLDS: read what is there, though shards are missing"},
        {"follow-links", TOOL_FLAG, &o->follow_links, NULL,
         "HDF5: read links and virtual datasets into files of the same folder"},
        {"seed", TOOL_INT, &j->seed, "S", "chooses where an episode has several wordings"},
        {"part-episodes", TOOL_INT, &j->each, "N",
         "keep every N finished, for an import that is killed and started again (default 32)"},
        {"skip-bad", TOOL_FLAG, &j->skip_bad, NULL, "leave out, and name, what is damaged"},
        {"threads", TOOL_INT, &j->threads, "N", "threads, 1 to 1024 (default one per core)"},
        {NULL, 0, NULL, NULL, NULL}};
    int n = 0;

    for (const source_kind *const *k = source_kinds(); *k; k++, n++)
        to[n] = (tool_option){(*k)->name, TOOL_FILES, &j->given[n], (*k)->takes, (*k)->help};
    memcpy(to + n, options, sizeof options);
}

/* Which of the sources was given; false when that is not one. */
static bool choose_source(const tool_command *self, job *j)
{
    const source_kind *const *kinds = source_kinds();
    const file_list *files = NULL;
    int sources = 0;

    for (int k = 0; kinds[k]; k++)
        if (j->given[k].count) {
            j->kind = kinds[k];
            files = &j->given[k];
            sources++;
        }
    if (sources != 1 || !j->out) {
        tool_usage(self, sources > 1 ? "one kind of source at a time"
                                     : "a source and --out FILE are required");
        return false;
    }
    if (files->count > 1 && !j->kind->files) {
        tool_usage(self, "--%s takes one folder", j->kind->name);
        return false;
    }
    j->options.path = files->name;
    j->options.paths = files->count;
    return true;
}

static bool numbers_are_wrong(const tool_command *self, const job *j)
{
    if (tool_outside(self, "limit", j->limit, 1, INT_MAX) ||
        tool_outside(self, "first", j->first, 0, INT_MAX) ||
        tool_outside(self, "part-episodes", j->each, 1, 1000000) ||
        tool_outside(self, "seed", j->seed, 0, LONG_MAX) ||
        tool_outside(self, "threads", j->threads, 1, TOOL_MOST_THREADS))
        return true;
    if (j->rotate % 90 || j->rotate < 0 || j->rotate > 270) {
        tool_usage(self, "--rotate takes 0, 90, 180 or 270");
        return true;
    }
    return false;
}

static void print_sum(const job *j)
{
    fprintf(stderr, "%s: %d episodes, %ld steps", j->out, j->sum.kept, j->sum.steps);
    fprintf(stderr, j->sum.skipped ? ", %d skipped\n" : "\n", j->sum.skipped);
    if (j->chosen)
        fprintf(stderr, "%s: %d episodes have several wordings; one was taken of each (--seed)\n",
                j->out, j->chosen);
    if (j->guessed)
        fprintf(stderr, "%s: %d episodes have no instruction; their file's name was taken\n",
                j->out, j->guessed);
}

int data_import_main(int argc, char **argv)
{
    static job j;
    tool_option options[32 + KINDS];
    const tool_command self = {"deer-data import", "makes demonstrations of other datasets",
                               "--KIND SOURCE --out FILE [options]", options, example};
    deer_error err;
    deer_status status;
    int ended;

    j = (job){.limit = INT_MAX, .threads = tool_cores(), .each = PART_EPISODES};
    list_options(&j, options);
    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!choose_source(&self, &j) || numbers_are_wrong(&self, &j))
        return TOOL_USAGE;
    j.options.threads = (int)j.threads;
    j.options.seed = (uint64_t)j.seed;
    status = run(&j, &err);
    if (status)
        return tool_fail(&self, status, &err);
    print_sum(&j);
    return DEER_OK;
}
