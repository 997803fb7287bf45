/* SPDX-License-Identifier: MIT */
/* print_rules.c - rules of exits side by side. */
#include "calib/cli/print_rules.h"

#include "runtime/base/json/json_build.h"

void rules_print(FILE *out, const rule_choice *x)
{
    const episode_loss *loss = &episode_losses[EPISODE_LOSS_CHOSEN];
    char words[160];

    fprintf(out,
            "\nrules, found on every other episode, judged on the rest (%d candidates)\n%-36s %8s "
            "%8s %9s\n",
            x->tried, "", "LLM", "total", "loss");
    for (int kind = 0; kind < RULE_KINDS; kind++) {
        if (!x->found[kind])
            continue;
        rules_describe(&x->best[kind].rule, words, sizeof words);
        fprintf(out, "%-36.36s %8.5f %8.5f %9.5f%s\n", words, x->held_out[kind].llm,
                x->held_out[kind].total, x->held_out[kind].loss[EPISODE_LOSS_CHOSEN],
                kind == x->chosen ? "  taken" : "");
    }
    fprintf(out, "loss: %s\n", loss->words);
}

json_t *episode_losses_json(const rule_verdict *v)
{
    json_t *json = json_object();

    for (int i = 0; i < EPISODE_LOSSES; i++)
        json_put(json, episode_losses[i].name, json_real(v->loss[i]));
    return json;
}

json_t *rules_json(const rule_choice *x)
{
    json_t *json = json_object(), *list = json_object();

    for (int kind = 0; kind < RULE_KINDS; kind++) {
        const rule_verdict *v = &x->held_out[kind];
        char words[160];

        if (!x->found[kind])
            continue;
        rules_describe(&x->best[kind].rule, words, sizeof words);
        json_put(list, rules_name(kind),
                 json_pack("{s:s, s:f, s:f, s:i, s:o}", "rule", words, "llm_gflops", v->llm,
                           "total_gflops", v->total, "episodes", v->episodes, "losses",
                           episode_losses_json(v)));
    }
    json_put(json, "loss", json_string(episode_losses[EPISODE_LOSS_CHOSEN].name));
    json_put(json, "taken", json_string(rules_name(x->chosen)));
    json_put(json, "tried", json_integer(x->tried));
    json_put(json, "held_out", list);
    return json;
}
