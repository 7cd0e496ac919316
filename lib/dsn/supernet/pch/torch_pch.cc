// SPDX-License-Identifier: Apache-2.0
// Nothing: a target must have a source to own the precompiled header.
