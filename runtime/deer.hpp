// SPDX-License-Identifier: MIT
// deer.hpp - deer.h for C++17: objects free themselves, failures are exceptions.
//
//   deer::model model("policy.safetensors");
//   deer::session session(model, deer::thresholds::load("thresholds.json", model));
//   session.set_instruction("lift the red block");
//   while (running)
//       move_robot(session.step({{frame, bytes}, {wrist, bytes}}).command);
//
// Header-only; link libdeer. A model and a pool may be copied: copies are the same one, and it lives
// as long as the last of them or of the sessions made with it. A session and thresholds can be moved,
// not copied. A step allocates nothing and throws only where deer_step fails.
#ifndef DEER_HPP
#define DEER_HPP

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "deer.h"

namespace deer {

// What failed, in one line; status() says of what kind.
class error : public std::runtime_error {
public:
    error(deer_status status, const deer_error &why)
        : std::runtime_error(why.message), status_(status)
    {
    }
    deer_status status() const noexcept { return status_; }

private:
    deer_status status_;
};

inline void check(deer_status status, const deer_error &why)
{
    if (status != DEER_OK)
        throw error(status, why);
}

// Threads that share the products of a step.
class pool {
public:
    explicit pool(std::int32_t threads, bool pin = false)
    {
        deer_pool_options options{};
        deer_error why;
        deer_pool *made = nullptr;

        options.size = sizeof options;
        options.threads = threads;
        options.pin = pin;
        check(deer_pool_new(&options, &made, &why), why);
        pool_.reset(made, deer_pool_free);
    }
    std::int32_t threads() const { return deer_pool_threads(pool_.get()); }
    deer_pool *get() const noexcept { return pool_.get(); }

private:
    friend class model;
    friend class session;
    std::shared_ptr<deer_pool> pool_;
};

class model {
public:
    explicit model(const std::string &path, std::int32_t max_exit = DEER_ALL_EXITS)
    {
        deer_error why;
        deer_model *opened = nullptr;

        check(deer_model_open(path.c_str(), max_exit, &opened, &why), why);
        model_.reset(opened, deer_model_close);
    }
    // Loaded by the threads of a pool.
    model(const std::string &path, std::int32_t max_exit, const pool &threads)
    {
        deer_model_options options{};
        deer_error why;
        deer_model *opened = nullptr;
        std::shared_ptr<deer_pool> keep = threads.pool_;

        options.size = sizeof options;
        options.pool = keep.get();
        check(deer_model_open_with(path.c_str(), max_exit, &options, &opened, &why), why);
        model_.reset(opened, [keep](deer_model *m) { deer_model_close(m); });
    }
    const deer_config &config() const { return *deer_model_config(model_.get()); }
    std::int32_t max_exit() const { return deer_model_max_exit(model_.get()); }
    std::string fingerprint() const { return deer_model_fingerprint(model_.get()); }
    std::string type() const { return deer_model_type(model_.get()); }
    std::uint64_t bytes() const { return deer_model_bytes(model_.get()); }
    std::int32_t unknown_words(const std::string &instruction) const
    {
        return deer_unknown_words(model_.get(), instruction.c_str());
    }
    const deer_model *get() const noexcept { return model_.get(); }

private:
    friend class session;
    std::shared_ptr<deer_model> model_;
};

class thresholds {
public:
    static thresholds fixed(const model &of, std::int32_t exit)
    {
        thresholds t;
        deer_error why;
        deer_thresholds *made = nullptr;

        check(deer_thresholds_fixed(of.get(), exit, &made, &why), why);
        t.thresholds_.reset(made);
        return t;
    }
    static thresholds load(const std::string &path, const model &of)
    {
        thresholds t;
        deer_error why;
        deer_thresholds *made = nullptr;

        check(deer_thresholds_load(path.c_str(), of.get(), &made, &why), why);
        t.thresholds_.reset(made);
        return t;
    }
    thresholds copy() const
    {
        thresholds t;
        deer_error why;
        deer_thresholds *made = nullptr;

        check(deer_thresholds_copy(thresholds_.get(), &made, &why), why);
        t.thresholds_.reset(made);
        return t;
    }
    // Turns the dial: GFLOPs a step on average.
    void set_budget(double average_gflops)
    {
        deer_error why;

        check(deer_thresholds_set_budget(thresholds_.get(), average_gflops, &why), why);
    }
    std::int32_t max_exit() const { return deer_thresholds_max_exit(thresholds_.get()); }
    float tau(std::int32_t exit) const { return deer_thresholds_tau(thresholds_.get(), exit); }
    const deer_expected &expected() const { return *deer_thresholds_expected(thresholds_.get()); }
    const deer_guarantee &guarantee() const
    {
        return *deer_thresholds_guarantee(thresholds_.get());
    }
    const deer_thresholds *get() const noexcept { return thresholds_.get(); }

private:
    struct free {
        void operator()(deer_thresholds *t) const { deer_thresholds_free(t); }
    };
    std::unique_ptr<deer_thresholds, free> thresholds_;
};

// One robot. For one thread at a time.
class session {
public:
    // Cameras as deer_camera describes them; all zeros: squares of the model's own size.
    session(const model &of, const thresholds &under, deer_camera static_view = deer_camera{},
            deer_camera gripper_view = deer_camera{})
        : model_(of.model_)
    {
        open(under, static_view, gripper_view);
    }
    session(const model &of, const thresholds &under, const pool &threads,
            deer_camera static_view = deer_camera{}, deer_camera gripper_view = deer_camera{})
        : model_(of.model_), pool_(threads.pool_)
    {
        open(under, static_view, gripper_view);
    }

    // Begins a task, and resets the recurrent state.
    void set_instruction(const std::string &instruction)
    {
        deer_error why;

        check(deer_session_set_instruction(session_.get(), instruction.c_str(), &why), why);
    }
    void reset()
    {
        deer_error why;

        check(deer_session_reset(session_.get(), &why), why);
    }
    void set_thresholds(const thresholds &under)
    {
        deer_error why;

        check(deer_session_set_thresholds(session_.get(), under.get(), &why), why);
    }
    void set_budget(double average_gflops)
    {
        deer_error why;

        check(deer_session_set_budget(session_.get(), average_gflops, &why), why);
    }
    // A budget that holds over any `horizon` steps.
    void set_governor(double average_gflops, std::int64_t horizon = 0)
    {
        deer_error why;

        check(deer_session_set_governor(session_.get(), average_gflops, horizon, &why), why);
    }
    // How long a step may take; 0: as long as it takes.
    void set_deadline(std::chrono::microseconds limit)
    {
        deer_error why;

        check(deer_session_set_deadline(session_.get(), limit.count(), &why), why);
    }
    void set_cameras(const deer_camera &static_view, const deer_camera &gripper_view)
    {
        deer_error why;

        check(deer_session_set_cameras(session_.get(), &static_view, &gripper_view, &why), why);
    }
    deer_action step(const deer_observation &seen)
    {
        deer_action action;
        deer_error why;

        check(deer_step(session_.get(), &seen, &action, &why), why);
        return action;
    }
    std::int32_t tokens() const { return deer_session_tokens(session_.get()); }
    std::uint64_t bytes() const { return deer_session_bytes(session_.get()); }
    deer_session *get() const noexcept { return session_.get(); }

private:
    struct free {
        void operator()(deer_session *s) const { deer_session_free(s); }
    };
    void open(const thresholds &under, const deer_camera &static_view,
              const deer_camera &gripper_view)
    {
        deer_session_options options{};
        deer_error why;
        deer_session *made = nullptr;

        options.size = sizeof options;
        options.pool = pool_.get();
        options.static_view = static_view;
        options.gripper_view = gripper_view;
        check(deer_session_new(model_.get(), under.get(), &options, &made, &why), why);
        session_.reset(made);
    }
    std::shared_ptr<deer_model> model_; // these two outlive the session
    std::shared_ptr<deer_pool> pool_;
    std::unique_ptr<deer_session, free> session_;
};

} // namespace deer

#endif
