// SPDX-License-Identifier: MIT
// rclcpp.hpp - the few types of ROS 2 that examples/ros2 uses, so that it can be compiled and run where there is no ROS 2
// (it is not in Debian 12). spin() calls drive(), which the test brings.
#ifndef STUB_RCLCPP_HPP
#define STUB_RCLCPP_HPP

#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>

#define RCLCPP_ERROR(logger, ...) (stub::log(logger), std::printf(__VA_ARGS__), std::puts(""))
#define RCLCPP_WARN RCLCPP_ERROR

namespace stub {
struct logger {};
inline void log(logger) {}
inline double &seconds()
{
    static double now = 0;
    return now;
}
inline std::map<std::string, std::function<void(std::shared_ptr<const void>)>> &topics()
{
    static std::map<std::string, std::function<void(std::shared_ptr<const void>)>> all;
    return all;
}
inline std::map<std::string, std::shared_ptr<const void>> &published()
{
    static std::map<std::string, std::shared_ptr<const void>> last;
    return last;
}
inline std::map<std::string, std::string> &parameters()
{
    static std::map<std::string, std::string> all;
    return all;
}
inline std::function<void()> &timer()
{
    static std::function<void()> only;
    return only;
}
inline void convert(const std::string &from, std::string &to) { to = from; }
inline void convert(const std::string &from, double &to) { to = std::stod(from); }
} // namespace stub

void drive();

namespace rclcpp {
struct Duration {
    double value;
    double seconds() const { return value; }
};
struct Time {
    double value = 0;
};
inline Duration operator-(const Time &a, const Time &b) { return {a.value - b.value}; }
struct SensorDataQoS {};

template <typename Message> struct Publisher {
    using SharedPtr = std::shared_ptr<Publisher>;
    std::string topic;
    void publish(const Message &m) { stub::published()[topic] = std::make_shared<Message>(m); }
};
template <typename Message> struct Subscription {
    using SharedPtr = std::shared_ptr<Subscription>;
};
struct TimerBase {
    using SharedPtr = std::shared_ptr<TimerBase>;
};

class Node {
public:
    explicit Node(const std::string &) {}
    virtual ~Node() = default;

protected:
    template <typename Value> Value declare_parameter(const std::string &name, const Value &usual)
    {
        Value value = usual;
        if (stub::parameters().count(name))
            stub::convert(stub::parameters()[name], value);
        return value;
    }
    template <typename Message>
    typename Publisher<Message>::SharedPtr create_publisher(const std::string &topic, int)
    {
        return std::make_shared<Publisher<Message>>(Publisher<Message>{topic});
    }
    template <typename Message, typename Quality, typename Function>
    typename Subscription<Message>::SharedPtr create_subscription(const std::string &topic, Quality,
                                                                  Function f)
    {
        stub::topics()[topic] = [f](std::shared_ptr<const void> m) {
            f(std::static_pointer_cast<const Message>(m));
        };
        return std::make_shared<Subscription<Message>>();
    }
    template <typename Period, typename Function>
    TimerBase::SharedPtr create_wall_timer(Period, Function f)
    {
        stub::timer() = f;
        return std::make_shared<TimerBase>();
    }
    Time now() { return {stub::seconds()}; }
    stub::logger get_logger() { return {}; }
};

inline void init(int, char **) {}
inline void spin(std::shared_ptr<Node>) { drive(); }
inline void shutdown() {}
} // namespace rclcpp

#endif
