// SPDX-License-Identifier: Apache-2.0
// A super-network, LUT, family and bundle of a small data set, made once by the tool itself: what the tests
// of whole commands start from. Needs a build with LibTorch.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dsn/core/file.h"
#include "dsn/core/json.h"
#include "fakes/temp_folder.h"
#include "process.h"
#include "small_images.h"

namespace dsn::test {

using Args = std::vector<std::string>;

inline Args operator+(Args a, const Args& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// What every test here starts from, made once by the tool itself.
struct Chain {
  fakes::TempFolder temp;
  std::string data = "idx:" + (temp / "images").string();
  std::string supernet = temp / "net.safetensors", lut = temp / "lut.json", family = temp / "family.json",
              bundle = temp / "bundle";
  Outcome trained, profiled, searched, exported;

  Args train_args(const std::string& out, const std::string& epochs) const {
    return {"train",   "--space",   (temp / "tiny.json").string(),
            "--data",  data,        "--val-count",
            "40",      "--epochs",  epochs,
            "--batch", "20",        "--calib-images",
            "40",      "--workers", "1",
            "--lr",    "0.05",      "--dropout",
            "0",       "--no-flip", "--pad",
            "0",       "--out",     out};
  }
  Args profile_args(const std::string& out) const {
    return {"profile", "--supernet", supernet, "--threads",       "1,2", "-r",         "3", "--min-time",
            "1ms",     "--max-time", "5ms",    "--random-levels", "2",   "--held-out", "2", "--patience",
            "0s",      "--out",      out};
  }
  Args search_args(const std::string& out) const {
    return {"search", "--supernet",     supernet, "--data",       data, "--lut",       lut,  "--levels",
            "3",      "--samples",      "8",      "--rounds",     "1",  "--per-round", "4",  "--finalists",
            "6",      "--calib-images", "40",     "--val-images", "20", "--val-count", "40", "--point",
            "cpu:1",  "--out",          out};
  }
  Args run_args() const { return {"run", bundle, "--input", data, "--target-latency", "60s"}; }

  Chain() {
    write_small_images(temp / "images");
    write_tiny_space(temp / "tiny.json");
    trained = dsn_tool(train_args(supernet, "6") + Args{"--curve", (temp / "curve.jsonl").string()});
    profiled = dsn_tool(profile_args(lut));
    searched = dsn_tool(search_args(family));
    exported = dsn_tool({"export", "--supernet", supernet, "--family", family, "--out", bundle});
  }
};

inline const Chain& chain() {
  static const Chain instance;
  return instance;
}

inline Args eval_args(const Chain& c, const std::string& model) {
  return {"eval", model, "--data", c.data, "--val-count", "40", "--calib-images", "40"};
}

inline std::string write_json(const fs::path& path, const nlohmann::json& json) {
  dsn::write_file_atomic(path, dsn::dump_json(json));
  return path;
}

}  // namespace dsn::test
