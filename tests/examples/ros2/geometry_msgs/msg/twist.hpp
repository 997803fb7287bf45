// SPDX-License-Identifier: MIT
// The fields of geometry_msgs's Twist that examples/ros2 uses: see rclcpp.hpp.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>
namespace geometry_msgs::msg {
struct Twist {
    using ConstSharedPtr = std::shared_ptr<const Twist>;
    struct {
        double x = 0, y = 0, z = 0;
    } linear, angular;
};
} // namespace geometry_msgs::msg
