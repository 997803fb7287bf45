// SPDX-License-Identifier: MIT
// The fields of std_msgs's Float64 that examples/ros2 uses: see rclcpp.hpp.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>
namespace std_msgs::msg {
struct Float64 {
    using ConstSharedPtr = std::shared_ptr<const Float64>;
    double data = 0;
};
} // namespace std_msgs::msg
