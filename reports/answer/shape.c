/* SPDX-License-Identifier: MIT */
/* shape.c - a cache's exits at another model's costs. */
#include "reports/answer/shape.h"

#include "budgets/cost/cost.h"

deer_status shape_published(const char *name, const cache *c, deer_config *config, deer_error *err)
{
    if (!deer_config_published(name, config))
        return deer_fail_with(DEER_USAGE, err, "there is no published shape '%s'; say 3b or 9b",
                              name);
    if (config->exits == c->exits)
        return DEER_OK;
    return deer_fail_with(
        DEER_USAGE, err,
        "the shape %s has %d exits and the cache %d: exits are mapped one to one, "
        "so there must be as many",
        name, config->exits, c->exits);
}

deer_status shape_calibration(cache *c, const deer_config *config, const calibration_spec *spec,
                              const calibration_actions *actions, calibration *p, deer_error *err)
{
    /* Of the configuration, calibration takes nothing but what steps cost; everything else that
     * reads the cache needs its own. */
    deer_config own = c->about.config;
    deer_status status;

    c->about.config = *config;
    status = calibration_make(c, spec, actions, p, err);
    c->about.config = own;
    return status;
}
