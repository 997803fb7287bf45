/* SPDX-License-Identifier: MIT */
/* extensions.c - whether a device offers an extension. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/machine_failure.h"
#include "runtime/gpu/device.h"

bool gpu_has_extension(const gpu_device *gpu, VkPhysicalDevice physical, const char *name)
{
    VkExtensionProperties *list = NULL;
    uint32_t count = 0;
    bool found = false;

    machine_gave(gpu->vk.EnumerateDeviceExtensionProperties(physical, NULL, &count, NULL) !=
                 VK_ERROR_OUT_OF_HOST_MEMORY);
    list = calloc(count + 1, sizeof *list);
    if (!machine_gave(list) ||
        !machine_gave(gpu->vk.EnumerateDeviceExtensionProperties(physical, NULL, &count, list) !=
                      VK_ERROR_OUT_OF_HOST_MEMORY))
        count = 0;
    for (uint32_t i = 0; i < count; i++)
        found = found || !strcmp(list[i].extensionName, name);
    free(list);
    return found;
}
