/* SPDX-License-Identifier: MIT */
/* fuzz_message.c - what comes over the policy server's websocket: observations, and answers to
 * deer-sim. */
#include "runtime/serve/protocol.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static image_store store[2];
    const protocol_keys keys = {"i", "w", "p"};
    deer_error err = fuzz_error();
    protocol_request request;
    protocol_answer answer;
    msgpack_buffer out = {0};

    if (!protocol_read_request(data, size, &keys, store, &request, &err)) {
        fuzz_touch(request.seen.static_view.pixels, request.seen.static_view.bytes);
        fuzz_touch(request.seen.gripper_view.pixels, request.seen.gripper_view.bytes);
        protocol_write_request(&out, &keys, &request);
        if (protocol_read_request(out.data, out.size, &keys, store, &request, &err))
            abort(); /* what is written can be read */
    } else {
        protocol_tidy(err.message);
    }
    if (!protocol_read_answer(data, size, &answer, &err)) {
        out.size = 0;
        protocol_write_answer(&out, &answer);
        if (protocol_read_answer(out.data, out.size, &answer, &err))
            abort();
    }
    msgpack_free(&out);
    return 0;
}
