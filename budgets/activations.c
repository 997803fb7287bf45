/* activations.c - the memory a session holds besides the weights: the sizes of its arena. */
#include "budgets/activations.h"

#include "budgets/modules.h"

static uint64_t u(int dimension)
{
    return (uint64_t)dimension;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Rows that pass through vision, the resampler and the decoder at once. */
typedef struct {
    uint64_t vision;   /* both images' patches and class tokens */
    uint64_t keys;     /* one image's patches and the latents: the resampler's keys */
    uint64_t latents;  /* one image's */
    uint64_t media;    /* both images' latents */
    uint64_t text;     /* the longest instruction */
    uint64_t resample; /* inner width of the resampler's attention */
    uint64_t cross;    /* inner width of cross-attention */
} rows;

static rows rows_of(const deer_config *c)
{
    uint64_t patches = module_patches(c), latents = u(c->resampler_latents);

    return (rows){.vision = 2 * (patches + 1),
                  .keys = patches + latents,
                  .latents = latents,
                  .media = 2 * latents,
                  .text = u(c->max_text),
                  .resample = u(c->resampler_heads) * u(c->resampler_head_dim),
                  .cross = u(c->cross_heads) * u(c->cross_head_dim)};
}

/* Queries, keys and values, or an MLP's hidden values: one buffer for whichever is largest. */
static uint64_t wide_floats(const deer_config *c, const rows *r)
{
    uint64_t vision = r->vision * larger(3 * u(c->vision_width), u(c->vision_mlp));
    uint64_t resampler = larger(r->keys * 2 * r->resample + r->latents * r->resample,
                                r->latents * u(c->resampler_mlp));
    uint64_t cross = r->media * 2 * r->cross + r->text * r->cross;
    uint64_t decoder = r->text * larger(3 * u(c->d_model), larger(u(c->mlp), u(c->cross_mlp)));

    return larger(larger(vision, resampler), larger(cross, decoder));
}

/* Images, residual streams and the shared buffers of everything before the head. */
static uint64_t backbone_floats(const deer_config *c)
{
    const rows r = rows_of(c);
    uint64_t w = u(c->vision_width), d = u(c->d_model);
    uint64_t pixels = 2 * 3 * u(c->image_size) * u(c->image_size);
    uint64_t normed = larger(larger(r.vision, r.keys) * w, r.text * d);
    uint64_t mixed =
        larger(larger(r.vision * w, r.latents * r.resample), r.text * larger(r.cross, d));
    uint64_t scores = larger(larger((r.vision / 2) * (r.vision / 2), r.latents * r.keys),
                             r.text * larger(r.media, r.text));

    return 2 * pixels /* as an image and as patches */ + r.vision * w + r.media * w + r.text * d +
           normed + wide_floats(c, &r) + mixed + scores;
}

/* Gates, states and MLP values of one evaluation. */
static uint64_t head_floats(const deer_config *c)
{
    uint64_t h = u(c->lstm_hidden), layers = u(c->lstm_layers), widest = larger(h, DEER_POSE);

    for (int i = 0; i < c->head_mlp_layers; i++)
        widest = larger(widest, u(c->head_mlp[i]));
    return layers * 4 * h + 4 * h + h + 2 * layers * h + 2 * widest;
}

/* Camera images being resized: after the first pass and after the second. */
static uint64_t resizing_bytes(const deer_config *c)
{
    uint64_t image = 3 * u(c->image_size) * u(c->image_size);

    return 2 * (image + image);
}

uint64_t activation_bytes(const deer_config *c)
{
    uint64_t state = 2 * u(c->lstm_layers) * u(c->lstm_hidden);
    uint64_t floats = state + u(c->d_model) + backbone_floats(c) + head_floats(c);

    /* A session keeps its thresholds, with all they carry. */
    return 4 * floats + resizing_bytes(c) + sizeof(deer_thresholds);
}
