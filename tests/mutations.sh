#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that the golden tests notice mistakes: applies one mistake at a time to a copy of the sources and
# expects test_golden to fail. Takes a minute; run by hand or by `make mutations`.
set -eu
BUILD=${BUILD:-build}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
missed=0

attempt() { # attempt NAME FILE SED-EXPRESSION
    rm -rf "$copy/tree"
    mkdir "$copy/tree"
    cp -r Makefile runtime datasets budgets calib tests reports "$copy/tree"
    sed -i "$3" "$copy/tree/$2"
    if cmp -s "$2" "$copy/tree/$2"; then
        echo "NOT APPLIED  $1"
        missed=$((missed + 1))
        return
    fi
    make -s -C "$copy/tree" BUILD="$copy/build" "$copy/build/tests/test_golden" >/dev/null 2>&1 ||
        { echo "DOES NOT BUILD  $1"; missed=$((missed + 1)); return; }
    if (cd "$copy/tree" && "$copy/build/tests/test_golden" >/dev/null 2>&1); then
        echo "NOT NOTICED  $1"
        missed=$((missed + 1))
    else
        echo "noticed      $1"
    fi
}

attempt "GELU by tanh" runtime/kernels/isa_elementwise.h \
    's/x\[i\] \*= x\[i\] > 0 ? 1 - tail : tail;/x[i] *= 0.5f * (1 + tanhf(0.7978845608f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));/'
attempt "LayerNorm epsilon 1e-6" runtime/kernels/isa_elementwise.h 's/epsilon = 1e-5f/epsilon = 1e-6f/'
attempt "ALiBi slopes" runtime/model/config.c 's/exp2(-8.0 \* (h + 1) \/ n)/exp2(-8.0 * h \/ n)/'
attempt "ALiBi left out" runtime/kernels/isa_elementwise.h 's/form->slope \* (at/0 * (at/'
attempt "LSTM state kept from an exit not taken" runtime/policy/session.c \
    's/    if (exit_policy_stop(t, k, a->delta\[k\]))/    memcpy(s->c, s->head.c, sizeof(float));\n&/'
attempt "LSTM state not reset" runtime/policy/session.c 's/^    memset(s->[hc], 0, state);//'
attempt "interleaved ALiBi slopes in order" runtime/model/config.c 's/h < power \/ 2 ? 2 \* h + 1 : .*;/h;/'
attempt "a second image looked at" runtime/policy/decoder.c 's/        if (images == 1)/        if (images)/'
attempt "text before the image sees it" runtime/policy/decoder.c 's/        if (images == 1)/        if (images < 2)/'
attempt "steps counted on across episodes" runtime/policy/session.c 's/^    s->step = 0;//'
attempt "cameras swapped" runtime/policy/image.c 's/{&seen->static_view, &seen->gripper_view}/{\&seen->gripper_view, \&seen->static_view}/'
attempt "LayerNorm after the vision tower" runtime/policy/vision.c \
    's/^        vision_layer(c, &model->vision.block\[i\], s, images, grid \* grid + 1);/&\n    layer_norm(s->tokens, s->tokens, model->vision.ln_pre.w, model->vision.ln_pre.b, images * (grid * grid + 1), c->vision_width);/'
attempt "QuickGELU replaced" runtime/kernels/isa_elementwise.h 's/fabsf(1.702f/fabsf(1.6f/'
attempt "media normalised" runtime/policy/decoder.c \
    's/    linear(&s->ws, kv, s->media, &x->to_kv/    layer_norm(s->media, s->media, model->resampler.norm.w, model->resampler.norm.b, 2 * c->resampler_latents, c->vision_width);\n&/'
echo "$missed mistakes not noticed"
[ "$missed" -eq 0 ]
