// SPDX-License-Identifier: Apache-2.0
// --app of dsn run: "cam=BUNDLE,input=SPEC,target=20ms,fps=30".
#pragma once

#include <string>
#include <string_view>

#include "dsn/deploy/application_set.h"

namespace dsn::cli {

// Keys that it takes, for help: "input, target, ...".
[[nodiscard]] const std::string& app_keys();

// `defaults`: what is not said. Values hold no comma. Throws Error{bad_usage} naming key and value, for a
// name that is not letters, digits, "-" and "_", a key that comes twice, and without a bundle, input or
// target.
[[nodiscard]] ApplicationSpec parse_app(std::string_view text, const ApplicationSpec& defaults);

// Throws Error{bad_usage}.
[[nodiscard]] Overrun parse_overrun(std::string_view text);
[[nodiscard]] std::string_view to_string(Overrun overrun) noexcept;

}  // namespace dsn::cli
