// SPDX-License-Identifier: Apache-2.0
// train and eval in a build without LibTorch: still listed, and clear about why they cannot.
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "commands.h"

namespace dsn::cli {
namespace {

Command add_absent(CLI::App& root, const std::string& name, const std::string& summary) {
  CLI::App& app = *root.add_subcommand(name, summary + " (not in this build: needs LibTorch)");
  app.allow_extras();  // whatever was asked for, the answer is the same
  return {&app, [name](const Session&) -> int {
            throw Error(ErrorCode::unsupported,
                        fmt::format("this build has no LibTorch, which {} needs", name),
                        "install libtorch-dev and build with meson setup build -Dtorch=enabled");
          }};
}

}  // namespace

Command add_train(CLI::App& root, CommonFlags& /*common*/) {
  return add_absent(root, "train", "Train a super-network");
}

Command add_eval(CLI::App& root, CommonFlags& /*common*/) {
  return add_absent(root, "eval", "Accuracy of sub-networks, families and bundles");
}

}  // namespace dsn::cli
