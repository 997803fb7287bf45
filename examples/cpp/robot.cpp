// SPDX-License-Identifier: MIT
// robot.cpp - a robot's control loop in C++17:
// c++ -std=c++17 robot.cpp -o robot $(pkg-config --cflags --libs deer)
//
//   ./robot POLICY [THRESHOLDS]
//
// Put your cameras where the vectors are filled and your robot where the command is printed.
#include <deer/deer.hpp>

#include <cstdio>
#include <vector>

static int drive(const char *policy, const char *file)
{
    const int width = 128, height = 96;
    std::vector<std::uint8_t> frame(width * height * 3), wrist(width * height * 3, 90);
    deer_camera camera{};
    camera.width = width;
    camera.height = height;

    deer::model model(policy);
    deer::thresholds thresholds =
        file ? deer::thresholds::load(file, model) : deer::thresholds::fixed(model, 1);
    deer::session session(model, thresholds, deer::pool(1), camera, camera);

    session.set_instruction("lift the red block");
    session.set_deadline(std::chrono::milliseconds(100));
    for (int step = 0; step < 10; step++) {
        frame.assign(frame.size(), static_cast<std::uint8_t>(40 + 10 * step));
        deer_action action =
            session.step({{frame.data(), frame.size()}, {wrist.data(), wrist.size()}});
        const float *c = action.command;
        std::printf("move %+.3f %+.3f %+.3f, turn %+.3f %+.3f %+.3f, %s\n", c[0], c[1], c[2], c[3],
                    c[4], c[5], c[6] > 0 ? "open" : "close");
    }
    return 0;
}

int main(int argc, char **argv)
{
    try {
        if (argc > 1)
            return drive(argv[1], argc > 2 ? argv[2] : nullptr);
        std::fprintf(stderr, "usage: robot POLICY [THRESHOLDS]\n");
    } catch (const deer::error &failed) {
        std::fprintf(stderr, "%s (%s)\n", failed.what(), deer_status_name(failed.status()));
    }
    return 1;
}
