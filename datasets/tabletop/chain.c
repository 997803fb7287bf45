/* SPDX-License-Identifier: MIT */
/* chain.c - rows of instructions that the expert can do one after another. */
#include "datasets/tabletop/chain.h"

#include "runtime/base/random.h"

enum { MAX_TASKS = 64 };

static bool expert_succeeds(tabletop *world)
{
    float action[DEER_COMMAND];

    for (int i = 0; i < TABLETOP_MAX_STEPS && !tabletop_succeeded(world); i++) {
        tabletop_expert(world, action);
        tabletop_step(world, action);
    }
    return tabletop_succeeded(world);
}

static bool used(const chain *row, int n, int task)
{
    for (int i = 0; i < n; i++)
        if (row->tasks[i] == task)
            return true;
    return false;
}

/* One of the tasks that are possible now and not in the row yet, -1 if there is none. */
static int draw_next(const tabletop *world, const chain *row, int n, uint64_t *random)
{
    int possible[MAX_TASKS], count = 0;

    for (int task = 0; task < tabletop_tasks() && count < MAX_TASKS; task++)
        if (!used(row, n, task) && tabletop_possible(world, task))
            possible[count++] = task;
    return count ? possible[random_below(random, count)] : -1;
}

static bool try_draw(tabletop *world, int first, uint64_t *random, chain *row)
{
    row->tasks[0] = first >= 0 ? first : random_below(random, tabletop_tasks());
    for (int i = 0; i < row->length; i++) {
        if (i > 0)
            row->tasks[i] = draw_next(world, row, i, random);
        if (row->tasks[i] < 0)
            return false;
        chain_begin(world, row, i);
        if (!expert_succeeds(world))
            return false;
    }
    return true;
}

void chain_draw(tabletop *world, uint64_t seed, int first, int length, tabletop_split split,
                chain *row)
{
    uint64_t random = seed;

    row->split = split;
    row->length = length;
    do
        row->seed = random_next(&random);
    while (!try_draw(world, first, &random, row));
}

void chain_begin(tabletop *world, const chain *row, int i)
{
    uint64_t seed = row->seed + (uint64_t)i;

    if (i == 0)
        tabletop_reset(world, row->seed, row->tasks[0], row->split);
    else
        tabletop_ask(world, random_next(&seed), row->tasks[i], row->split);
}
