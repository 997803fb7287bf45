// SPDX-License-Identifier: MIT
// drive_node.cpp - the ROS 2 example, driven by stubs: it stands still until it may move, sees the same in bgr8 rows that
// are padded as in rgb8 rows that are not, and stands still again when a camera stops or says something else.
#include "../../examples/ros2/src/policy_node.cpp"

#include <cmath>
#include <cstdlib>

static int failures;

static void expect(bool what, const char *say)
{
    if (!what)
        std::printf("FAILED: %s\n", say);
    failures += !what;
}

static std::shared_ptr<Image> picture(bool bgr, std::uint32_t pad)
{
    auto image = std::make_shared<Image>();
    image->width = 50;
    image->height = 40;
    image->step = 3 * image->width + pad;
    image->encoding = bgr ? "bgr8" : "rgb8";
    image->data.assign(image->step * image->height, 77);
    for (std::uint32_t y = 0; y < image->height; y++)
        for (std::uint32_t x = 0; x < 3 * image->width; x++) {
            std::uint32_t c = bgr ? x - x % 3 + 2 - x % 3 : x;
            image->data[y * image->step + c] = static_cast<std::uint8_t>(x * 7 + y * 13 + x % 3 * 40);
        }
    return image;
}

static void show(std::shared_ptr<Image> image)
{
    stub::topics()["static_camera/image_raw"](image);
    stub::topics()["wrist_camera/image_raw"](image);
}

static void tell(const char *text)
{
    auto message = std::make_shared<std_msgs::msg::String>();
    message->data = text;
    stub::topics()["instruction"](message);
}

static Twist moved()
{
    stub::timer()();
    return *std::static_pointer_cast<const Twist>(stub::published()["cmd_vel"]);
}

static bool still(const Twist &t)
{
    return t.linear.x == 0 && t.linear.y == 0 && t.linear.z == 0 && t.angular.x == 0 &&
           t.angular.y == 0 && t.angular.z == 0;
}

void drive()
{
    Twist plain, padded;

    expect(still(moved()), "it moves without cameras and instruction");
    show(picture(false, 0));
    expect(still(moved()), "it moves without an instruction");
    tell("lift the red block");
    plain = moved();
    expect(!still(plain), "it does not move");
    expect(stub::published().count("gripper") == 1, "it says nothing of the gripper");
    expect(std::fabs(plain.linear.x) <= 10 * 0.03 + 1e-6, "it moves faster than its scale allows");
    show(picture(true, 11));
    tell("lift the red block");
    padded = moved();
    expect(plain.linear.x == padded.linear.x && plain.angular.z == padded.angular.z,
           "order of channels or stride change what it does");
    stub::seconds() += 10;
    expect(still(moved()), "it moves on old images");
    show(picture(false, 0));
    expect(!still(moved()), "it does not go on");
    auto other = picture(false, 0);
    other->encoding = "mono8";
    show(other);
    expect(still(moved()), "it moves on images of another kind");
    for (const char *rate : {"0", "-5", "nan", "1e300"}) {
        stub::parameters()["rate"] = rate;
        try {
            PolicyNode node;
            expect(false, "it takes a rate that is none");
        } catch (const std::invalid_argument &) {
        }
    }
    if (failures)
        std::exit(1);
    std::puts("the node does what it says");
}
