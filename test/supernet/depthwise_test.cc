// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/depthwise.h"

#include <doctest/doctest.h>

namespace dsn {

TEST_CASE("depthwise_conv2d: output and gradients are LibTorch's, for every kernel, stride, size and width") {
  torch::manual_seed(3);
  for (const int kernel : {3, 5, 7}) {
    for (const int stride : {1, 2}) {
      for (const int size : {1, 2, 5, 8, 13}) {
        for (const int channels : {8, 16, 40}) {
          CAPTURE(kernel);
          CAPTURE(stride);
          CAPTURE(size);
          CAPTURE(channels);
          const torch::Tensor images =
              torch::randn({3, channels, size, size + 1}).contiguous(torch::MemoryFormat::ChannelsLast);
          const torch::Tensor weights = torch::randn({channels, 1, kernel, kernel});
          std::vector<torch::Tensor> results[2];
          for (const int way : {0, 1}) {
            const torch::Tensor x = images.clone().requires_grad_(), w = weights.clone().requires_grad_();
            const torch::Tensor y = way == 0 ? depthwise_conv2d(x, w, stride)
                                             : torch::conv2d(x, w, {}, stride, kernel / 2, 1, channels);
            torch::manual_seed(4);
            (y * torch::randn_like(y)).sum().backward();
            results[way] = {y.detach(), x.grad(), w.grad()};
          }
          for (std::size_t i = 0; i < 3; ++i)
            CHECK(torch::allclose(results[0][i], results[1][i], 1e-4, 1e-4));
        }
      }
    }
  }
}

}  // namespace dsn
