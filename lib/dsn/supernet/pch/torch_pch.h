// SPDX-License-Identifier: Apache-2.0
// Precompiled header of everything that includes LibTorch: its headers cost 15 s of compile time a file otherwise.

#include <torch/torch.h>
