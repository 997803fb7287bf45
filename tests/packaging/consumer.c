/* SPDX-License-Identifier: MIT */
/* consumer.c - somebody else's program, in C and in C++: opens a policy and says what it has. */
#include <deer/deer.h>
#include <deer/deer_drift.h>
#include <deer/deer_replay.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    deer_error err;
    deer_model *model = NULL;

    if (argc != 2 || deer_model_open(argv[1], DEER_ALL_EXITS, &model, &err)) {
        fprintf(stderr, "%s\n", argc == 2 ? err.message : "which policy?");
        return 1;
    }
    printf("%d exits\n", deer_model_max_exit(model) + 1);
    deer_model_close(model);
    return 0;
}
