// SPDX-License-Identifier: MIT
// The fields of std_msgs's String that examples/ros2 uses: see rclcpp.hpp.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>
namespace std_msgs::msg {
struct String {
    using ConstSharedPtr = std::shared_ptr<const String>;
    std::string data;
};
} // namespace std_msgs::msg
