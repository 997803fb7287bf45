/* SPDX-License-Identifier: MIT */
/* solver.c - a program of somebody else's that solves for thresholds: half of four steps may leave
 * at the first exit. */
#include <deer/deer_calib.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    const float delta[] = {0.1f, 0, 0.2f, 0, 0.3f, 0, 0.4f, 0}, loss[] = {1, 0, 2, 0, 3, 0, 4, 0};
    const double cost[] = {1, 2};
    deer_table table;
    deer_solve_options options;
    deer_solution *solution = NULL;
    deer_error err;

    memset(&table, 0, sizeof table);
    memset(&options, 0, sizeof options);
    table.size = sizeof table;
    table.exits = 2;
    table.steps = 4;
    table.delta = delta;
    table.loss = loss;
    table.cost = cost;
    options.size = sizeof options;
    options.average = 1.5;
    if (deer_solve(&table, &options, &solution, &err)) {
        fprintf(stderr, "%s: %s\n", deer_status_name(DEER_FAILED), err.message);
        return 1;
    }
    printf("%d exits, costs %g\n", deer_solution_found(solution)->max_exit + 1,
           deer_solution_found(solution)->cost);
    deer_solution_free(solution);
    return 0;
}
