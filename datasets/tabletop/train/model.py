# SPDX-License-Identifier: MIT
"""The DeeR architecture in PyTorch, small: what train.py trains and export.py writes.

Module and parameter names are those of a deer model file (docs/model-file.md), so that state_dict()
is the file. Semantics are those of the official code: CLIP vision transformer without class token and
ln_post, Perceiver resampler, MPT-1B blocks with gated cross-attention in every layer, max-pool, LSTM
with LayerNorm, MLP heads.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

CONFIG = dict(
    name="tabletop", image_size=64, patch_size=8, vision_width=64, vision_layers=2, vision_heads=4,
    vision_mlp=128, image_mean=[0.48145466, 0.4578275, 0.40821073],
    image_std=[0.26862954, 0.26130258, 0.27577711],
    resampler_layers=1, resampler_heads=4, resampler_head_dim=16, resampler_latents=16,
    resampler_mlp=128,
    block="mpt-1b", d_model=64, heads=4, layers=12, mlp=128, vocab=0, max_text=32, media_token=0,
    cross_every=1, cross_heads=4, cross_head_dim=16, cross_mlp=128,
    lstm="layernorm", lstm_layers=1, lstm_hidden=128, head_mlp_layers=2, head_mlp=[128, 64],
    head_mlp_layernorm=True,
    exits=6, exit_layers=[1, 3, 5, 7, 9, 11],
    action_scale=[0.03, 0.03, 0.03, 0.15, 0.15, 0.15])


class LayerNorm(nn.Module):
    """LayerNorm without a bias, as MPT's."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.register_buffer("zero", torch.zeros(width), persistent=False)

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight.to(x.dtype), self.zero.to(x.dtype))


def heads(x, n):
    return x.view(*x.shape[:-1], n, -1).transpose(-2, -3)


def merge(x):
    return x.transpose(-2, -3).flatten(-2)


def attend(q, k, v, scale, bias=None):
    scores = q @ k.transpose(-1, -2) * scale
    if bias is not None:
        scores = scores + bias
    return merge(scores.softmax(-1) @ v)


class VisionAttention(nn.Module):
    def __init__(self, width, n):
        super().__init__()
        self.n = n
        self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) * width ** -0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x):
        q, k, v = (heads(t, self.n) for t in
                   F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1))
        return self.out_proj(attend(q, k, v, q.shape[-1] ** -0.5))


class VisionBlock(nn.Module):
    def __init__(self, width, n, hidden):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = VisionAttention(width, n)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict(dict(c_fc=nn.Linear(width, hidden), c_proj=nn.Linear(hidden, width)))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        h = self.mlp["c_fc"](self.ln_2(x))
        return x + self.mlp["c_proj"](h * torch.sigmoid(1.702 * h))


class Vision(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, grid = c["vision_width"], c["image_size"] // c["patch_size"]
        self.class_embedding = nn.Parameter(torch.randn(width) * 0.1)
        self.positional_embedding = nn.Parameter(torch.randn(grid * grid + 1, width) * 0.1)
        self.conv1 = nn.Conv2d(3, width, c["patch_size"], c["patch_size"], bias=False)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = nn.ModuleDict(dict(resblocks=nn.ModuleList(
            VisionBlock(width, c["vision_heads"], c["vision_mlp"]) for _ in range(c["vision_layers"]))))

    def forward(self, image):
        x = self.conv1(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(x.shape[0], 1, -1).to(x.dtype), x], 1)
        x = self.ln_pre(x + self.positional_embedding)
        for block in self.transformer["resblocks"]:
            x = block(x)
        return x[:, 1:]


def feed_forward(width, hidden):
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden, bias=False), nn.GELU(),
                         nn.Linear(hidden, width, bias=False))


class ResamplerAttention(nn.Module):
    def __init__(self, width, n, head_dim):
        super().__init__()
        self.n, inner = n, n * head_dim
        self.norm_media, self.norm_latents = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)

    def forward(self, media, latents):
        latents = self.norm_latents(latents)
        q = heads(self.to_q(latents), self.n)
        k, v = (heads(t, self.n) for t in
                self.to_kv(torch.cat([self.norm_media(media), latents], 1)).chunk(2, -1))
        return self.to_out(attend(q, k, v, q.shape[-1] ** -0.5))


class Resampler(nn.Module):
    def __init__(self, c):
        super().__init__()
        width = c["vision_width"]
        self.latents = nn.Parameter(torch.randn(c["resampler_latents"], width))
        self.layers = nn.ModuleList(nn.ModuleList([
            ResamplerAttention(width, c["resampler_heads"], c["resampler_head_dim"]),
            feed_forward(width, c["resampler_mlp"])]) for _ in range(c["resampler_layers"]))
        self.norm = nn.LayerNorm(width)

    def forward(self, media):
        latents = self.latents.expand(media.shape[0], -1, -1)
        for attention, ff in self.layers:
            latents = latents + attention(media, latents)
            latents = latents + ff(latents)
        return self.norm(latents)


class CrossAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.n, inner = c["cross_heads"], c["cross_heads"] * c["cross_head_dim"]
        self.norm = nn.LayerNorm(c["d_model"])
        self.to_q = nn.Linear(c["d_model"], inner, bias=False)
        self.to_kv = nn.Linear(c["vision_width"], 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, c["d_model"], bias=False)

    def forward(self, x, media):
        q = heads(self.to_q(self.norm(x)), self.n)
        k, v = (heads(t, self.n) for t in self.to_kv(media).chunk(2, -1))
        return self.to_out(attend(q, k, v, q.shape[-1] ** -0.5))


class GatedCrossAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attn_gate = nn.Parameter(torch.tensor([1.0]))
        self.ff_gate = nn.Parameter(torch.tensor([1.0]))
        self.attn = CrossAttention(c)
        self.ff = feed_forward(c["d_model"], c["cross_mlp"])

    def forward(self, x, media):
        x = x + torch.tanh(self.attn_gate) * self.attn(x, media)
        return x + torch.tanh(self.ff_gate) * self.ff(x)


class SelfAttention(nn.Module):
    def __init__(self, d, n):
        super().__init__()
        self.n = n
        self.Wqkv = nn.Linear(d, 3 * d, bias=False)
        self.q_ln, self.k_ln = LayerNorm(d), LayerNorm(d)
        self.out_proj = nn.Linear(d, d, bias=False)

    def forward(self, x, bias):
        q, k, v = self.Wqkv(x).chunk(3, -1)
        q, k, v = heads(self.q_ln(q), self.n), heads(self.k_ln(k), self.n), heads(v, self.n)
        return self.out_proj(attend(q, k, v, q.shape[-1] ** -0.5, bias))


class DecoderBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["d_model"]
        self.ln_1, self.ln_2 = LayerNorm(d), LayerNorm(d)
        self.attn = SelfAttention(d, c["heads"])
        self.mlp = nn.ModuleDict(dict(mlp_up=nn.Linear(d, c["mlp"], bias=False),
                                      mlp_down=nn.Linear(c["mlp"], d, bias=False)))

    def forward(self, x, bias):
        x = x + self.attn(self.ln_1(x), bias)
        return x + self.mlp["mlp_down"](F.gelu(self.mlp["mlp_up"](self.ln_2(x))))


def alibi_causal(n_heads, length, device=None):
    slopes = torch.tensor([2.0 ** -(8 * (h + 1) / n_heads) for h in range(n_heads)], device=device)
    position = torch.arange(length, dtype=torch.float32, device=device) - (length - 1)
    causal = torch.full((length, length), -1e9, device=device).triu(1)
    return slopes[:, None, None] * position + causal


class MLP(nn.Module):
    """[Linear -> LayerNorm -> ReLU] x n -> Linear, at the official Sequential's indices."""

    def __init__(self, c, outputs):
        super().__init__()
        widths, layers = [c["lstm_hidden"]] + c["head_mlp"], []
        for a, b in zip(widths, widths[1:]):
            layers += [nn.Identity(), nn.Linear(a, b), nn.LayerNorm(b), nn.ReLU()]
        self.mlp = nn.Sequential(*layers, nn.Identity(), nn.Linear(widths[-1], outputs))

    def forward(self, x):
        return self.mlp(x)


class ActionHead(nn.Module):
    """LSTM -> LayerNorm -> pose (before tanh) and gripper logit, over a sequence [B, T, d]."""

    def __init__(self, c):
        super().__init__()
        self.rnn = nn.ModuleDict(dict(layers=nn.ModuleList([
            nn.LSTM(c["d_model"], c["lstm_hidden"], batch_first=True),
            nn.LayerNorm(c["lstm_hidden"])])))
        self.actions, self.gripper = MLP(c, 6), MLP(c, 1)

    def forward(self, x):
        lstm, norm = self.rnn["layers"]
        h = norm(lstm(x)[0])
        return torch.tanh(self.actions(h)), self.gripper(h).squeeze(-1)


class Policy(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.vision_encoder = nn.ModuleDict(dict(visual=Vision(c)))
        self.perceiver = Resampler(c)
        transformer = nn.Module()
        transformer.wte = nn.Embedding(c["vocab"], c["d_model"])
        transformer.blocks = nn.ModuleList(nn.ModuleDict(dict(
            gated_cross_attn_layer=GatedCrossAttention(c), decoder_layer=DecoderBlock(c)))
            for _ in range(c["layers"]))
        self.lang_encoder = nn.ModuleDict(dict(transformer=transformer))
        self.extra_exit = ActionHead(c)
        self.register_buffer("mean", torch.tensor(c["image_mean"]).view(3, 1, 1) * 255, False)
        self.register_buffer("std", torch.tensor(c["image_std"]).view(3, 1, 1) * 255, False)

    def media(self, static, gripper):
        """u8 [N, H, W, 3] each -> media tokens [N, 2 * latents, width], static first."""
        n = static.shape[0]
        image = torch.cat([static, gripper]).permute(0, 3, 1, 2).float()
        latents = self.perceiver(self.vision_encoder["visual"]((image - self.mean) / self.std))
        return torch.cat([latents[:n], latents[n:]], 1)

    def features(self, media, ids, pad):
        """Max-pooled features of the pseudo exit and every exit, [N, 1 + exits, d].
        ids [N, T]; pad [N, T], true where there is no token (kept out of the pool)."""
        transformer = self.lang_encoder["transformer"]
        x = transformer.wte(ids)
        bias = alibi_causal(self.c["heads"], ids.shape[1], ids.device)
        taken = [self.c["exit_layers"][0] - 1] + self.c["exit_layers"]
        out = []
        for i, block in enumerate(transformer.blocks):
            x = block["gated_cross_attn_layer"](x, media)
            x = block["decoder_layer"](x, bias)
            if i in taken:
                out.append(x.float().masked_fill(pad.unsqueeze(-1), -math.inf).amax(1))
        return torch.stack(out, 1)
