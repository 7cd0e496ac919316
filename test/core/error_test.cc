// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/error.h"

#include "dsn/core/job.h"
#include "support.h"

using dsn::Error;
using dsn::ErrorCode;

TEST_CASE("Error: what() is the message, the hint stays apart") {
  const Error error(ErrorCode::io, "cannot write x", "free space");
  CHECK(std::string(error.what()) == "cannot write x");
  CHECK(error.message() == "cannot write x");
  CHECK(error.hint() == "free space");
  CHECK(error.code() == ErrorCode::io);
}

TEST_CASE("exit_status: every code has the status that the command line documents") {
  CHECK(dsn::exit_status(ErrorCode::failed) == 1);
  CHECK(dsn::exit_status(ErrorCode::io) == 1);
  CHECK(dsn::exit_status(ErrorCode::bad_usage) == 2);
  CHECK(dsn::exit_status(ErrorCode::bad_input) == 2);
  CHECK(dsn::exit_status(ErrorCode::not_found) == 2);
  CHECK(dsn::exit_status(ErrorCode::mismatch) == 2);
  CHECK(dsn::exit_status(ErrorCode::infeasible) == 3);
  CHECK(dsn::exit_status(ErrorCode::unsupported) == 4);
  CHECK(dsn::exit_status(ErrorCode::permission) == 4);
  CHECK(dsn::exit_status(ErrorCode::interrupted) == 130);
}

TEST_CASE("silent_job: never stops and takes everything") {
  dsn::Job& job = dsn::silent_job();
  job.begin("phase", 10);
  job.advance(1, "note");
  job.info("line");
  job.warn("line");
  job.end();
  CHECK_FALSE(job.stop_requested());
  CHECK_NOTHROW(job.check_stop());
}

TEST_CASE("Job::check_stop: a wish to stop becomes Error{interrupted}") {
  class Stopping : public dsn::Job {
   public:
    bool stop_requested() const noexcept override { return true; }
  };
  const Stopping job;
  CHECK(dsn_test::error_of([&] { job.check_stop(); }).code() == ErrorCode::interrupted);
}
