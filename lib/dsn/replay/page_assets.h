// SPDX-License-Identifier: Apache-2.0
// Files of lib/dsn/replay/web, put into the library by embed.py. Internal to replay.
#pragma once

namespace dsn::page_assets {

extern const char kUplotJs[];
extern const char kUplotCss[];
extern const char kUplotLicense[];
extern const char kPageJs[];
extern const char kPageCss[];

}  // namespace dsn::page_assets
