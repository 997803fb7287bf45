// SPDX-License-Identifier: MIT
// policy_node.cpp - a ROS 2 node that runs a policy: camera images in, velocity and gripper out.
//
//   ros2 run deer_policy policy_node --ros-args -p model:=policy.safetensors -p thresholds:=t.json -p rate:=10.0
//
// Subscribes to static_camera/image_raw and wrist_camera/image_raw (sensor_msgs/Image, rgb8 or bgr8, of any size
// and stride) and to instruction (std_msgs/String); publishes cmd_vel (geometry_msgs/Twist, metres and radians a
// second) and gripper (std_msgs/Float64, 1 open, 0 closed). A step takes the last image of each camera, `rate`
// times a second, and has as long as that. Until both cameras and an instruction are there the robot stands still;
// so it does when a step fails or an image is older than `patience` (0.5 seconds).
#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include <deer/deer.hpp>

#include <geometry_msgs/msg/twist.hpp>
#include <rclcpp/rclcpp.hpp>
#include <sensor_msgs/msg/image.hpp>
#include <std_msgs/msg/float64.hpp>
#include <std_msgs/msg/string.hpp>

using geometry_msgs::msg::Twist;
using sensor_msgs::msg::Image;

// How a message's pixels lie in memory.
static deer_camera camera_of(const Image &image)
{
    deer_camera camera{};

    if (image.encoding != "rgb8" && image.encoding != "bgr8")
        throw std::runtime_error("an image is neither rgb8 nor bgr8 but " + image.encoding);
    camera.width = static_cast<std::int32_t>(image.width);
    camera.height = static_cast<std::int32_t>(image.height);
    camera.row_stride = static_cast<std::int32_t>(image.step);
    camera.channels = image.encoding == "bgr8" ? DEER_BGR : DEER_RGB;
    return camera;
}

static bool same(const deer_camera &a, const deer_camera &b)
{
    return a.width == b.width && a.height == b.height && a.row_stride == b.row_stride &&
           a.channels == b.channels;
}

class PolicyNode : public rclcpp::Node {
public:
    PolicyNode()
        : Node("policy_node"), model_(declare_parameter<std::string>("model", "policy.safetensors")),
          rate_(declare_parameter<double>("rate", 10.0)),
          patience_(declare_parameter<double>("patience", 0.5)),
          session_(model_, thresholds_of(declare_parameter<std::string>("thresholds", "")))
    {
        if (!(rate_ >= 0.001 && rate_ <= 10000))
            throw std::invalid_argument("rate must be 0.001 to 10000 steps a second");
        auto period = std::chrono::microseconds(static_cast<std::int64_t>(1e6 / rate_));

        session_.set_deadline(period);
        velocity_ = create_publisher<Twist>("cmd_vel", 1);
        gripper_ = create_publisher<std_msgs::msg::Float64>("gripper", 1);
        static_camera_ = create_subscription<Image>(
            "static_camera/image_raw", rclcpp::SensorDataQoS(),
            [this](Image::ConstSharedPtr image) { static_image_ = image, static_at_ = now(); });
        wrist_camera_ = create_subscription<Image>(
            "wrist_camera/image_raw", rclcpp::SensorDataQoS(),
            [this](Image::ConstSharedPtr image) { wrist_image_ = image, wrist_at_ = now(); });
        instruction_ = create_subscription<std_msgs::msg::String>(
            "instruction", 1,
            [this](std_msgs::msg::String::ConstSharedPtr text) { begin(text->data); });
        timer_ = create_wall_timer(period, [this] { step(); });
    }

private:
    deer::thresholds thresholds_of(const std::string &file)
    {
        return file.empty() ? deer::thresholds::fixed(model_, model_.max_exit())
                            : deer::thresholds::load(file, model_);
    }

    void begin(const std::string &instruction)
    {
        told_ = false;
        try {
            session_.set_instruction(instruction);
            told_ = true;
        } catch (const std::exception &failed) {
            RCLCPP_ERROR(get_logger(), "%s", failed.what());
        }
    }

    bool is_recent(const Image::ConstSharedPtr &image, const rclcpp::Time &at)
    {
        return image && (now() - at).seconds() < patience_;
    }

    void step()
    {
        Twist twist; // zeros: stand still

        if (told_ && is_recent(static_image_, static_at_) && is_recent(wrist_image_, wrist_at_)) {
            try {
                act(twist);
            } catch (const std::exception &failed) {
                twist = Twist();
                RCLCPP_ERROR(get_logger(), "%s", failed.what());
            }
        }
        velocity_->publish(twist);
    }

    void act(Twist &twist)
    {
        deer_camera cameras[2] = {camera_of(*static_image_), camera_of(*wrist_image_)};

        if (!same(cameras[0], cameras_[0]) || !same(cameras[1], cameras_[1])) {
            session_.set_cameras(cameras[0], cameras[1]); // allocates, once
            cameras_[0] = cameras[0];
            cameras_[1] = cameras[1];
        }
        const deer_action action =
            session_.step({{static_image_->data.data(), static_image_->data.size()},
                           {wrist_image_->data.data(), wrist_image_->data.size()}});
        const float *scale = model_.config().action_scale;
        std_msgs::msg::Float64 gripper;

        if (action.late)
            RCLCPP_WARN(get_logger(), "a step was late");
        // A command of 1 moves by action_scale in one step: times steps a second.
        twist.linear.x = rate_ * scale[0] * action.command[0];
        twist.linear.y = rate_ * scale[1] * action.command[1];
        twist.linear.z = rate_ * scale[2] * action.command[2];
        twist.angular.x = rate_ * scale[3] * action.command[3];
        twist.angular.y = rate_ * scale[4] * action.command[4];
        twist.angular.z = rate_ * scale[5] * action.command[5];
        gripper.data = action.command[6] > 0 ? 1 : 0;
        gripper_->publish(gripper);
    }

    deer::model model_;
    double rate_, patience_; // steps a second; how old an image may be, seconds
    deer::session session_;
    deer_camera cameras_[2] = {};
    bool told_ = false;
    Image::ConstSharedPtr static_image_, wrist_image_;
    rclcpp::Time static_at_, wrist_at_;
    rclcpp::Publisher<Twist>::SharedPtr velocity_;
    rclcpp::Publisher<std_msgs::msg::Float64>::SharedPtr gripper_;
    rclcpp::Subscription<Image>::SharedPtr static_camera_, wrist_camera_;
    rclcpp::Subscription<std_msgs::msg::String>::SharedPtr instruction_;
    rclcpp::TimerBase::SharedPtr timer_;
};

int main(int argc, char **argv)
{
    rclcpp::init(argc, argv);
    try {
        rclcpp::spin(std::make_shared<PolicyNode>());
    } catch (const std::exception &failed) {
        std::fprintf(stderr, "policy_node: %s\n", failed.what());
        return 1;
    }
    rclcpp::shutdown();
    return 0;
}
