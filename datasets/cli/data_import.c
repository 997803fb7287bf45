/* SPDX-License-Identifier: MIT */
/* import.c - deer-data import: other people's datasets as demonstrations. */
#include <stdio.h>

#include "datasets/cli/data_commands.h"
#include "datasets/cli/data_parts.h"
#include "datasets/sources/calvin.h"
#include "runtime/cli/tool.h"

enum { PART_EPISODES = 32 };

static const char env_args[] = "{\"env_name\":\"calvin\"}";

typedef struct {
    const char *folder, *out;
    long limit, threads, each;
    bool skip_bad;
    parts_sum sum;
    tool_progress bar;
} job;

/* Episodes [first, end) of the source into a file; none of them may be fit for it. */
static deer_status write_episodes(job *j, const calvin *d, int first, int end, demos_writer *w,
                                  parts_sum *made, deer_error *err)
{
    for (int i = first; i < end; i++) {
        demo_episode e;
        deer_status status = calvin_read(d, i, (int)j->threads, &e, err);

        if (!status) {
            status = demos_writer_add(w, &e, err);
            demo_episode_free(&e);
            if (status)
                return status;
            made->steps += e.steps;
            made->kept++;
        } else if (j->skip_bad) {
            fprintf(stderr, "skipped: %s\n", err->message);
            made->skipped++;
        } else {
            return status;
        }
        tool_progress_update(&j->bar, i + 1);
    }
    return DEER_OK;
}

static deer_status import_part(job *j, const calvin *d, const parts *p, int k, deer_error *err)
{
    parts_sum made = {0, 0, 0};
    char path[4352];
    demos_writer *w;
    deer_status status;

    parts_file(p, k, path);
    if (demos_writer_open(path, env_args, &w, err))
        return DEER_FAILED;
    status = write_episodes(j, d, parts_first(p, k), parts_end(p, k), w, &made, err);
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

static deer_status import_parts(job *j, const calvin *d, const parts *p, deer_error *err)
{
    deer_status status = DEER_OK;

    tool_progress_start(&j->bar, "import", "episodes", p->episodes);
    for (int k = 0; k < p->count && !status; k++) {
        if (!parts_have(p, k, j->skip_bad, &j->sum))
            status = import_part(j, d, p, k, err);
        tool_progress_update(&j->bar, parts_end(p, k));
    }
    tool_progress_end(&j->bar);
    if (!status && !j->sum.kept)
        status = deer_fail(err, "%s has no episode that can be read", j->folder);
    return status ? status : parts_join(p, env_args, err);
}

static deer_status run(job *j, deer_error *err)
{
    char source[DEER_FINGERPRINT];
    calvin *d;
    parts p;
    int n;
    deer_status status;

    if (calvin_open(j->folder, &d, err))
        return DEER_FAILED;
    calvin_fingerprint(d, source);
    n = calvin_count(d) < j->limit ? calvin_count(d) : (int)j->limit;
    status = parts_open(j->out, source, n, (int)j->each, &p, err);
    if (!status) {
        status = import_parts(j, d, &p, err);
        parts_close(&p);
    }
    calvin_close(d);
    return status;
}

int data_import_main(int argc, char **argv)
{
    job j = {.limit = INT_MAX, .threads = tool_cores(), .each = PART_EPISODES};
    const tool_option options[] = {
        {"calvin", TOOL_STRING, &j.folder, "DIR",
         "a split of CALVIN: task_D_D/training (required)"},
        {"out", TOOL_FILE, &j.out, "FILE", "demonstrations file to write (required)"},
        {"limit", TOOL_INT, &j.limit, "N", "only the first N annotated episodes (default: all)"},
        {"part-episodes", TOOL_INT, &j.each, "N",
         "keep every N finished, for an import that is killed and started again (default 32)"},
        {"skip-bad", TOOL_FLAG, &j.skip_bad, NULL, "leave out episodes with files that are broken"},
        {"threads", TOOL_INT, &j.threads, "N", "threads, 1 to 1024 (default one per core)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-data import", "makes demonstrations of the language-annotated episodes of CALVIN",
        "--calvin DIR --out FILE [options]", options,
        "deer-data import --calvin task_D_D/validation --out validation.h5\n"
        "deer-data import --calvin task_D_D/training --limit 200 --skip-bad --out some.h5"};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!j.folder || !j.out)
        return tool_usage(&self, "--calvin DIR and --out FILE are required");
    if (tool_outside(&self, "limit", j.limit, 1, INT_MAX) ||
        tool_outside(&self, "part-episodes", j.each, 1, 1000000) ||
        tool_outside(&self, "threads", j.threads, 1, TOOL_MOST_THREADS))
        return TOOL_USAGE;
    status = run(&j, &err);
    if (status)
        return tool_fail(&self, status, &err);
    fprintf(stderr, "%s: %d episodes, %ld steps", j.out, j.sum.kept, j.sum.steps);
    fprintf(stderr, j.sum.skipped ? ", %d skipped\n" : "\n", j.sum.skipped);
    return DEER_OK;
}
