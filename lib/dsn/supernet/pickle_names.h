// SPDX-License-Identifier: Apache-2.0
// Names of pickle opcodes, as Python's pickletools spells them, for messages. Not installed.
#pragma once

#include <string>

namespace dsn {

// "GLOBAL"; "0x05" for a byte that is no opcode.
[[nodiscard]] std::string pickle_op_name(unsigned char code);

}  // namespace dsn
