// SPDX-License-Identifier: Apache-2.0
// The C API: dsn::Application behind plain functions. No exception leaves.
#define DSN_API __attribute__((visibility("default")))
#include "dsn/dsn.h"

#include <fmt/format.h>

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/deploy/application.h"
#include "dsn/version.h"

struct dsn_app {
  dsn::Application application;
  dsn::Image image;  // kept from frame to frame: its pixels' memory is used again
};

namespace {

thread_local std::string last_error = "no error";  // NOLINT: one per thread, as errno

int fail(const dsn::Error& error) noexcept {
  try {
    last_error =
        error.hint().empty() ? error.message() : fmt::format("{}\n  hint: {}", error.message(), error.hint());
  } catch (...) {
    last_error.clear();
  }
  return dsn::exit_status(error.code());
}

// What `work` throws, as a status.
template <typename Work>
int guarded(const Work& work) noexcept {
  try {
    work();
    return 0;
  } catch (const dsn::Error& error) {
    return fail(error);
  } catch (const std::bad_alloc&) {
    return fail(dsn::Error(dsn::ErrorCode::failed, "out of memory"));
  } catch (const std::exception& error) {
    return fail(dsn::Error(dsn::ErrorCode::failed, error.what()));
  }
}

template <typename T>
T& required(T* pointer, const char* name) {
  if (pointer == nullptr) throw dsn::Error(dsn::ErrorCode::bad_usage, fmt::format("{} is NULL", name));
  return *pointer;
}

dsn::Goal goal_of(const dsn_goal& goal) {
  return {goal.target_s, goal.min_accuracy, goal.period_s, goal.probability == 0 ? 0.99 : goal.probability};
}

dsn::ApplicationOptions options_of(const dsn_goal& goal, const char* text) {
  dsn::ApplicationOptions options;
  options.goal = goal_of(goal);
  if (text == nullptr) return options;
  const dsn::Json document = dsn::parse_json(text, "options");
  const dsn::JsonView view(document, "options");
  if (!document.is_object()) view.fail("an object");
  view.only_keys({"policy", "engine", "threads", "platform", "warmup"});
  if (view.has("policy")) options.policy = view["policy"].text();
  if (view.has("engine")) options.engine = view["engine"].text();
  if (view.has("threads")) options.threads = static_cast<int>(view["threads"].integer(0, 1024));
  if (view.has("platform")) options.platform = view["platform"].text();
  if (view.has("warmup")) options.warmup = static_cast<int>(view["warmup"].integer(0, 1000));
  return options;
}

}  // namespace

extern "C" {

int dsn_api_version(void) {
  return DSN_API_VERSION;
}

const char* dsn_version(void) {
  return dsn::build_info().version.data();  // text of this program: it ends in a NUL
}

const char* dsn_last_error(void) {
  return last_error.c_str();
}

int dsn_open(const char* bundle, const dsn_goal* goal, const char* options, dsn_app** app) {
  if (app != nullptr) *app = nullptr;
  return guarded([&] {
    (void)required(app, "app");
    (void)required(bundle, "bundle");
    *app = new dsn_app{dsn::Application(bundle, options_of(required(goal, "goal"), options)), {}};
  });
}

void dsn_close(dsn_app* app) {
  delete app;
}

int dsn_set_goal(dsn_app* app, const dsn_goal* goal) {
  return guarded([&] { required(app, "app").application.set_goal(goal_of(required(goal, "goal"))); });
}

int dsn_classify(dsn_app* app, const uint8_t* pixels, int width, int height, int channels, double age_s,
                 dsn_answer* answer) {
  return guarded([&] {
    dsn::Image& image = required(app, "app").image;
    (void)required(pixels, "pixels");
    (void)required(answer, "answer");
    if (width < 1 || height < 1 || (channels != 1 && channels != 3)) {
      throw dsn::Error(
          dsn::ErrorCode::bad_usage,
          fmt::format("image: found {} x {} with {} channels, expected at least 1 x 1 with 1 or 3", width,
                      height, channels));
    }
    image.width = width;
    image.height = height;
    image.channels = channels;
    const auto size = static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                      static_cast<std::size_t>(channels);
    image.pixels.assign(pixels, pixels + size);
    const dsn::Answer found = app->application.classify(image, age_s);
    *answer = {
        found.class_index, found.level,       found.confidence,      static_cast<float>(found.slowdown),
        found.latency_s,   found.met ? 1 : 0, found.feasible ? 1 : 0};
  });
}

const float* dsn_logits(const dsn_app* app) {
  if (app == nullptr || app->application.logits().empty()) return nullptr;
  return app->application.logits().data();
}

int dsn_classes(const dsn_app* app) {
  return app == nullptr ? 0 : static_cast<int>(app->application.bundle().class_names.size());
}

const char* dsn_class_name(const dsn_app* app, int class_index) {
  if (class_index < 0 || class_index >= dsn_classes(app)) return nullptr;
  return app->application.bundle().class_names[static_cast<std::size_t>(class_index)].c_str();
}

int dsn_levels(const dsn_app* app) {
  return app == nullptr ? 0 : static_cast<int>(app->application.bundle().levels.size());
}

double dsn_level_accuracy(const dsn_app* app, int level) {
  if (level < 0 || level >= dsn_levels(app)) return -1;
  return app->application.bundle().family.levels[static_cast<std::size_t>(level)].accuracy;
}
}
