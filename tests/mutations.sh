#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that the tests notice mistakes: plants one at a time in a copy of the sources, builds the test that
# should notice, and expects it to fail (and to pass without the mistake). FAST=1: a handful of them, for
# every change. ONLY=REGEX: those whose test and name match.
set -eu
BUILD=${BUILD:-build}
FAST=${FAST:-0}
ONLY=${ONLY:-}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
trap 'exit 1' INT TERM
tree=$copy/tree
planted=0
missed=0
sound=" "

# What is built already is copied too, with its times: one mistake then costs a file or two.
mkdir "$tree"
cp -a Makefile runtime datasets budgets calib tests reports bench "$tree"
case $BUILD in
/*) built=build ;;
*) built=$BUILD && [ -d "$BUILD" ] && mkdir -p "$tree/$built" &&
    tar -C "$BUILD" --exclude=./asan --exclude=./fuzz --exclude=./demo --exclude=./clang --exclude=./tsan --exclude=./lean --exclude=./aarch64 --exclude=./deb -cf - . | tar -C "$tree/$built" -xf - ;;
esac

build() { # build TEST
    make -s -C "$tree" BUILD="$built" "$built/tests/$1" >"$copy/log" 2>&1
}

passes() { # passes TEST
    (cd "$tree" && BUILD=$built timeout 1200 "$built/tests/$1") >"$copy/log" 2>&1
}

complain() { # complain WHAT TEST NAME
    echo "$1  $3 ($2)"
    missed=$((missed + 1))
}

# Whether a test passes as it is; else what it notices would mean nothing.
is_sound() { # is_sound TEST
    case $sound in *" $1 "*) return 0 ;; esac
    build "$1" && passes "$1" || return 1
    sound="$sound$1 "
}

plant() { # plant TEST NAME FILE SED-EXPRESSION
    planted=$((planted + 1))
    cp "$tree/$3" "$copy/whole"
    sed -i "$4" "$tree/$3"
    if cmp -s "$copy/whole" "$tree/$3"; then
        complain "NOT APPLIED " "$1" "$2"
    elif ! build "$1"; then
        complain "DOES NOT BUILD" "$1" "$2"
    elif passes "$1"; then
        complain "NOT NOTICED " "$1" "$2"
    else
        echo "noticed       $2 ($1)"
    fi
    cp "$copy/whole" "$tree/$3"
}

# mistake TEST NAME FILE SED-EXPRESSION: only without FAST; quick: always.
quick() {
    echo "$1 $2" | grep -Eq -- "$ONLY" || return 0
    if is_sound "$1"; then
        plant "$@"
    else
        complain "FAILS ANYWAY" "$1" "$2"
    fi
}

mistake() {
    [ "$FAST" = 1 ] || quick "$@"
}

# ---- what calibration delivers

deliver=calib/pipeline/deliver.c
quick test_deliver "drift reference: mean exit + 1" $deliver 's/(float)(sum.exits \/ /(float)(1 + sum.exits \/ /'
quick test_deliver "every dial point has the first's thresholds" $deliver 's/x->point\[i\].tau/x->point[0].tau/'
quick test_deliver "every dial point has the first's expectations" $deliver 's/_of(&x->point\[i\])/_of(\&x->point[0])/'
quick test_deliver "peaks swapped" $deliver \
    's/= x->peak_llm/= x->peak_TOTAL/; s/= x->peak_total/= x->peak_llm/; s/peak_TOTAL/peak_total/'
quick test_deliver "confidence complemented" $deliver 's/g->confidence = from->confidence/g->confidence = 1 - from->confidence/'
mistake test_deliver "solved on and tested on swapped" $deliver \
    's/= from->solved_on/= from->TESTED/; s/= from->tested_on/= from->solved_on/; s/TESTED/tested_on/'
mistake test_deliver "average GFLOPs of the other scope" $deliver 's/average_total_gflops = x->total/average_total_gflops = x->llm/'
mistake test_deliver "every episode of the reference is of the first's task" $deliver 's/episode\[episode\].task/episode[0].task/'
mistake test_deliver "a fraction is of the last exit but one" calib/pipeline/limits.c 's/whole->exits - 1/whole->exits - 2/'
mistake test_deliver "solved on the part that is for testing" calib/pipeline/calibrate.c 's/return \(guarantee_split(&j->guarantee, episodes, j->for_solving, err)\);/status = \1;\n    for (int e = 0; e < episodes; e++)\n        j->for_solving[e] = !j->for_solving[e];\n    return status;/'

# ---- calibration

mistake test_deliver "the gripper is judged by the wrong half" calib/problem/calibration.c 's/here, demo, 0.0f,/here, demo, 0.5f,/'
mistake test_deliver "the loss is a sum, not a mean" calib/problem/calibration.c 's/sqrt(square \/ DEER_POSE)/sqrt(square)/'
mistake test_deliver "official thresholds that are equalled do not exit" calib/problem/evaluate.c 's/delta\[i\] <= threshold ?/delta[i] < threshold ?/'
mistake test_replay "the deepest exit's state is kept" calib/replay/history.c 's/keep_state(w, w->h, i, 1 + exit)/keep_state(w, w->h, i, 1 + w->j->rule->max_exit)/'
mistake test_official_thresholds "a quantile too many" calib/solve/official.c 's/= floorf((float)s->all/= ceilf((float)s->all/'
mistake test_solver "the oracle counts costs twice" calib/solve/oracle.c 's/price \* step_cost\[k\]/2 * price * step_cost[k]/'
mistake test_cache "damaged data is believed" calib/cache/cache_shard.c 's/if (strcmp(got, want))/if (0 \&\& strcmp(got, want))/'
mistake test_cache_others "a shard of other recordings is taken" calib/replay/replay_seen.c 's/if (!memcmp(there, /if (1 || !memcmp(there, /'
mistake test_cache_others "shards of other recordings are read" calib/cache/cache_read.c 's/if (strcmp(together, /if (0 \&\& strcmp(together, /'
mistake test_cache_others "who finishes a cache looks at his own shards alone" calib/replay/replay.c 's/status = check_shards(j, missing, err)/status = DEER_OK/'
mistake test_cache_others "a shard of another model is taken" calib/cache/cache_shard.c 's/if (strcmp(model, m->model))/if (0)/'
mistake test_calib_library "a budget that is no number is none" calib/library/asked.c 's/!(number\[i\].value >= 0)/number[i].value < 0/'
mistake test_calib_library "a point's memory is its peak" calib/library/solution.c 's/\.memory = x->memory/.memory = x->peak_total/'

# ---- budgets

mistake test_cost "one camera is not counted" budgets/cost/cost.c 's/e->vision = ARCH_VIEWS/e->vision = 1/'
mistake test_cost "the head is evaluated once less" budgets/cost/cost.c 's/head_evaluations = k + 2/head_evaluations = k + 1/'
mistake test_cost "memory without the layers behind the first" budgets/cost/cost.c 's/uint64_t bytes = w->around;/&\n\n    last = 0;/'
mistake test_latency "traffic and arithmetic at the same time cost both" budgets/machines/latency.c 's/fmax(arithmetic, traffic) + overhead/arithmetic + traffic + overhead/'
mistake test_latency "8-bit weights are always multiplied as integers" budgets/machines/latency.c 's/end == LOW && own > wide/own > wide/'

# ---- demonstrations

mistake test_demos "cameras swapped" datasets/demos/demos_read.c 's/entry->dataset\[view\]/entry->dataset[!view]/'
mistake test_demos "actions out of range are let through" datasets/demos/demos_read.c 's/<= 1.001f/<= 1001.0f/'
mistake test_calvin "a run ends a frame early" datasets/sources/calvin.c 's/\.first + 1);/.first);/'
mistake test_calvin "frames are numbered from the second" datasets/sources/calvin.c 's/r->first + t)/r->first + t + 1)/'
mistake test_tabletop "a fall is no harm" datasets/tabletop/goals.c 's/&& z < below/\&\& z < below - 1/'
mistake test_rule "a refresh comes a step late" runtime/thresholds/exit_rule.c 's/shallow >= rule->steps/shallow > rule->steps/'
mistake test_rule "debt is never paid" runtime/thresholds/exit_rule.c 's/memory->debt = 0;//'
mistake test_report "pairs are judged late" reports/answer/paired.c 's/floor(within \* expert + 1e-9)/1 + floor(within * expert + 1e-9)/'
mistake test_tabletop "intervals are of 90%" datasets/tabletop/rollout.c 's/z = 1.959964/z = 1.644854/'

# ---- runtime

quick test_thresholds "the dial turns to the next dearer point" runtime/thresholds/thresholds.c 's/point\[i\].budget_gflops <= average_gflops/point[i ? i - 1 : 0].budget_gflops <= average_gflops/'
mistake test_thresholds "thresholds of other weights are taken" runtime/thresholds/thresholds_model.c 's/!strcmp(t->weights, weights)/1/'
quick test_governor "the limit lets the second exit through" runtime/thresholds/governor.c 's/while (k > 0 \&\& g->now.ahead_gflops/while (k > 1 \&\& g->now.ahead_gflops/'
mistake test_governor "what is saved is kept for ever" runtime/thresholds/governor.c 's/fmax(-g->room, g->now.ahead_gflops + used - g->now.budget_gflops)/g->now.ahead_gflops + used - g->now.budget_gflops/'
mistake test_session "a governed step is charged for cameras that it did not encode" runtime/policy/step_cost.c 's/if (w->fresh\[i\])$/if (w->fresh[i] || 1)/'
mistake test_online "improvement is for certain" calib/online/gaussian.c 's/ + deviation \* density(z)/ + 0 * deviation * density(z)/'
mistake test_online "a journal of other settings is taken" calib/online/journal.c 's/if (strcmp(of, settings) != 0)/if (strcmp(of, settings) == 1000)/'
mistake test_drift "the watch never doubts" runtime/thresholds/drift.c 's/(b - 2) \* (p - 0.5)/0 * (b - 2) * (p - 0.5)/'
mistake test_drift "ties are not broken" runtime/thresholds/drift.c 's/uniform(d) \* (double)equal/0.0 * (double)equal/'
mistake test_bpe "of equal pairs the rightmost is merged first" runtime/text/bpe.c 's/m->rank < best->rank/m->rank <= best->rank/'
mistake test_bpe "of equal merges the last counts" runtime/text/bpe.c 's/    if (t->merge\[i\].pair == UINT64_MAX)  *\/\* the first.*/    if (1)/'

# ---- the policy server

mistake test_protocol "images with channels in front taken for rows" runtime/serve/array.c 's/planes ? c \* pixels + i : 3/planes ? 3 * i + c : 3/'
quick test_protocol "float images rounded to the nearest" runtime/serve/array.c 's/\*byte = (uint8_t)v;/*byte = (uint8_t)(v + 0.5);/'
mistake test_protocol "bytes behind a message passed over" runtime/serve/msgpack.c 's/if (in.at != in.end)/if (in.at > in.end)/'
mistake test_protocol "one list too deep" runtime/serve/msgpack.c 's/if (depth == MSGPACK_DEPTH)/if (depth == MSGPACK_DEPTH - 1)/'
mistake test_protocol "buckets that do not add up" runtime/serve/metrics.c 's/below += h->count\[i\];/below = h->count[i];/'
mistake test_protocol "prompts of any bytes" runtime/serve/protocol.c 's/if (!is_utf8(/if (0 \&\& !is_utf8(/'
mistake test_protocol "lost lines of a log kept quiet about" runtime/serve/step_log.c 's/if (!\*log->lost.message)/if (*log->lost.message)/'
mistake test_protocol "an answer's times not read" runtime/serve/protocol.c 's/a->queue_ms = value.real;/a->queue_ms = 0;/'

# ---- reports

mistake test_report_fleet "power ignores how often steps come" reports/answer/fleet.c 's/deer_power_at(hardware, rate, /deer_power_at(hardware, 1, /'
mistake test_report_fleet "99% of the steps are half of them" budgets/machines/latency.c 's/<= 0.01 + 1e-9/<= 0.51/'
mistake test_report_fleet "99% of steps are all steps" budgets/machines/latency.c 's/<= 0.01 + 1e-9/<= 0/'
mistake test_report "intervals of half the width" reports/answer/bootstrap.c 's/\* 25 \/ 1000/* 250 \/ 1000/g'
mistake test_report "success is not interpolated" reports/answer/success.c 's/a + (b - a) \* share_of_b/a/'

# ---- the policy, against the official code

mistake test_golden "GELU by tanh" runtime/kernels/isa_elementwise.h \
    's/x\[i\] \*= x\[i\] > 0 ? 1 - tail : tail;/x[i] *= 0.5f * (1 + tanhf(0.7978845608f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));/'
mistake test_golden "LayerNorm epsilon 1e-6" runtime/kernels/isa_elementwise.h 's/epsilon = 1e-5f/epsilon = 1e-6f/'
mistake test_golden "ALiBi slopes" runtime/model/config.c 's/exp2(-8.0 \* (h + 1) \/ n)/exp2(-8.0 * h \/ n)/'
mistake test_golden "ALiBi left out" runtime/kernels/isa_elementwise.h 's/form->slope \* (at/0 * (at/'
quick test_golden "LSTM state kept from an exit not taken" runtime/policy/session.c \
    's/    if (k >= s->deepest || exit_policy_stop/    s->on->keep(s->work, 0);\n&/'
mistake test_golden "LSTM state not reset" runtime/processor/backend_cpu.c 's/^    memset(w->[hc], 0, state);//'
mistake test_golden "interleaved ALiBi slopes in order" runtime/model/config.c 's/h < power \/ 2 ? 2 \* h + 1 : .*;/h;/'
mistake test_golden "a second image looked at" runtime/processor/decoder.c 's/        if (images == 1)/        if (images)/'
mistake test_golden "text before the image sees it" runtime/processor/decoder.c 's/        if (images == 1)/        if (images < 2)/'
mistake test_golden "steps counted on across episodes" runtime/policy/session.c 's/^    s->step = 0;//'
mistake test_threads "threads are woken for ever, whatever it costs" runtime/base/threads/threads.c 's/ \&\& b->saved <= b->lost)/ \&\& 0)/'
mistake test_golden "cameras swapped" runtime/policy/image.c 's/{&seen->static_view, &seen->gripper_view}/{\&seen->gripper_view, \&seen->static_view}/'
mistake test_golden "LayerNorm after the vision tower" runtime/processor/vision.c \
    's/^        vision_layer(c, &model->weights.vision.block\[i\], s, images, grid \* grid + 1);/&\n    layer_norm(s->tokens, s->tokens, model->weights.vision.ln_pre.w, model->weights.vision.ln_pre.b, images * (grid * grid + 1), c->vision_width);/'
mistake test_golden "QuickGELU replaced" runtime/kernels/isa_elementwise.h 's/fabsf(1.702f/fabsf(1.6f/'
mistake test_golden "media normalised" runtime/processor/decoder.c \
    's/^    if (due == BACKEND_BOTH)$/    layer_norm(s->media, s->media, model->weights.resampler.norm.w, model->weights.resampler.norm.b, 2 * c->resampler_latents, c->vision_width);\n&/'

# ---- without memory

mistake test_json "jansson reads on without memory" runtime/base/json/json_memory.c 's/if (reading)/if (0 \&\& reading)/'
mistake test_json "what jansson wrote without memory is taken" runtime/base/json/json_memory.c 's/text \&\& !failed/text/'

# ---- Intel's tiles, emulated

if [ "$(uname -m)" = x86_64 ]; then
    mistake test_kernels "tiles kept for ever" runtime/kernels/isa_amx.c 's/^        _tile_release();/        (void)0;/'
    mistake test_kernels "signs of the other operand" runtime/kernels/isa_amx.c 's/_tile_dpbsud/_tile_dpbusd/'
    mistake test_kernels "whatever lies behind a row of activations" runtime/kernels/isa_amx.c 's/i % STEP; i++/i < 0; i++/'
    mistake test_kernels "a set that is wrong is offered" runtime/kernels/isa_proof.c 's/if (memcmp/if (0 \&\& memcmp/'
fi

if [ -x "$BUILD/tests/test_gpu" ]; then
    mistake test_gpu "an exit ahead on a GPU that is not called off" runtime/gpu/shaders/decide.comp 's/live\[0\] = 1;/live[0] = 0;/'
    mistake test_gpu "a GPU's keys of a camera seen anew" runtime/gpu/backend_gpu.c 's/w->kept\[i\] &= ~views;/;/'
    mistake test_gpu_kernels "a GPU's bytes scaled wrongly" runtime/gpu/shaders/quantise.comp \
        's/c\], inverse, /c], inverse * 0.99, /'
    mistake test_gpu_faults "a GPU's products of bytes that are wrong are used" runtime/gpu/proof.c 's/^    return v;/    return (verdict){true, true};/'
    mistake test_gpu_faults "want of memory is a missing extension" runtime/gpu/extensions.c 's/VK_ERROR_OUT_OF_HOST_MEMORY/VK_ERROR_DEVICE_LOST/'
    mistake test_gpu_faults "matrix units that are wrong are used" runtime/gpu/proof.c 's/v.many = v.many .*/;/'
    mistake test_gpu_kernels "sums of matrix units put elsewhere" runtime/gpu/shaders/linear_matrix.comp 's/across + i % WIDE \* N/across/'
    mistake test_gpu_faults "weights copied where they could stay" runtime/gpu/home.c 's/home->in_place = stay(home, model);/home->in_place = false;/'
fi
mistake test_latency "own kernels on a GPU use its matrix units" budgets/machines/latency.c 's/s->own ? own_rate(/false ? own_rate(/'

echo "$planted mistakes planted, $missed not noticed"
[ "$missed" -eq 0 ]
