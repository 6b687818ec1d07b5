"""Complex operands of kernels are read where they lie, whatever view they are; their gradients come back whole."""

from __future__ import annotations

from typing import Any

import pytest

import seqc

torch = pytest.importorskip("torch")

SPEC = """seq 1
cell Ring over t:
    dim D
    in u : [D] of complex
    param turn : [D] init uniform(0, 6)
    state x : [D] of complex init 0
    x = 0.9 * cis(turn) * x[t-1] + u
    out x
"""


def both(backend: str, width: int, view: Any) -> tuple[Any, ...]:
    """Values and gradients of a cell on a view of the same numbers."""
    generator = torch.Generator().manual_seed(width)
    torch.manual_seed(0)
    layer = seqc.load(SPEC).Ring(D=width, backend=backend)
    whole = torch.randn(2, 5, width, 2, generator=generator)
    u = torch.view_as_complex(whole).requires_grad_()
    x, state = layer(view(u))
    weights = torch.view_as_complex(torch.randn(2, 5, width, 2, generator=generator))
    return x.detach(), state.x.detach(), *torch.autograd.grad(x, (u, layer.turn), weights.conj())


VIEWS = {
    "itself": lambda u: u,
    "a conjugate": lambda u: u.conj(),
    "turned": lambda u: u.transpose(0, 1).contiguous().transpose(0, 1),
    "one of two": lambda u: torch.stack([u, u], -1)[..., 1],
    "one for all": lambda u: u[:1].expand(2, -1, -1),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("width", [1, 7, 16, 33])
def test_views_of_complex_tensors(width: int, view: Any) -> None:
    for ours, theirs in zip(both("native", width, view), both("reference", width, view), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_nothing_beyond_the_end_is_read() -> None:
    """The parts of the last entries: the page after them cannot be read, so a step too far would end the process."""
    import ctypes
    import mmap

    size = mmap.PAGESIZE
    area = mmap.mmap(-1, 2 * size)
    first = ctypes.addressof(ctypes.c_char.from_buffer(area))
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if protect(first + size, size, 0):
        pytest.skip("pages cannot be protected here")
    try:
        for width in (1, 15, 16, 17, 32):
            numbers = 2 * 3 * width * 2
            flat = torch.frombuffer(area, dtype=torch.float32, count=numbers, offset=size - 4 * numbers)
            flat.copy_(torch.randn(numbers, generator=torch.Generator().manual_seed(1)))
            u = torch.view_as_complex(flat.view(2, 3, width, 2))
            torch.manual_seed(0)
            layer = seqc.load(SPEC).Ring(D=width, backend="native")
            with torch.no_grad():
                assert torch.equal(layer(u)[0], layer(u.clone())[0])
    finally:
        protect(first + size, size, 3)
