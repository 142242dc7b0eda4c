"""The core against PyTorch's own LSTM in float64: a second witness, independent of Keras."""

import numpy as np
import pytest

from tests.cases import make_case
from tests.peers import require


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 9, 4, 7), (2, 40, 1, 33)])
def test_forward_and_backward_equal_torch(sizes: tuple[int, int, int, int], backend: str) -> None:
    torch = require("torch")
    case = make_case(21, sizes)
    _, _, D, H = sizes
    p = case.params
    peer = torch.nn.LSTM(D, H, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        peer.weight_ih_l0.copy_(torch.tensor(p.kernel.T))
        peer.weight_hh_l0.copy_(torch.tensor(p.recurrent_kernel.T))
        peer.bias_ih_l0.copy_(torch.tensor(p.bias))
        peer.bias_hh_l0.zero_()
    x, h0, c0 = (torch.tensor(v, requires_grad=True) for v in (case.x, case.h0, case.c0))
    hs, (h, c) = peer(x, (h0[None], c0[None]))
    loss = sum(
        (y * torch.tensor(d)).sum()
        for y, d in ((hs, case.d_hs), (h[0], case.d_h), (c[0], case.d_c))
    )
    loss.backward()

    out = case.forward(backend)
    for got, expected in ((out.hs, hs), (out.h, h[0]), (out.c, c[0])):
        np.testing.assert_allclose(got, expected.detach().numpy(), rtol=0, atol=4e-15)
    got = case.backward(out)
    pairs = {
        "d_x": (got.d_x, x.grad), "d_h0": (got.d_h0, h0.grad), "d_c0": (got.d_c0, c0.grad),
        "d_kernel": (got.d_kernel.T, peer.weight_ih_l0.grad),
        "d_recurrent_kernel": (got.d_recurrent_kernel.T, peer.weight_hh_l0.grad),
        "d_bias": (got.d_bias, peer.bias_ih_l0.grad),
    }  # fmt: skip
    largest = max(float(g.abs().max()) for _, g in pairs.values())
    for name, (ours, theirs) in pairs.items():
        atol = 2e-14 * max(largest, 1)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=atol, err_msg=name)
