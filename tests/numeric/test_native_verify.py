"""`seqc verify SPEC --backend native` for every bundled spec with kernels, in float64: values, state, gradients, finite differences,
steps, splits, packing, resets, padding. The command itself does the same in float32 too, with kernels as users get them."""

from __future__ import annotations

from dataclasses import replace

import pytest

import seqc
from numeric.native_units import compiler, share, unoptimised
from seqc.compiler.driver.layers import maker
from seqc.compiler.driver.options import Options
from seqc.compiler.driver.pipeline import compiled
from seqc.compiler.driver.target import target_of
from seqc.compiler.driver.verify import run as verify_run
from seqc.runtime.native.calls import kernels_of

pytestmark = pytest.mark.skipif(not compiler(), reason="there is no C compiler")

SPECS = (
    "indrnn paragru sru lif paralstm mingru minlstm qrnn hgrn rglru mamba1 lru s4d s5 rwkv4 aaren linear_attention based retnet "
    "simple_gla mamba2 gla hgrn2 rwkv6 mlstm char_lm encoder digits_classifier"
).split()


@pytest.mark.parametrize("spec", SPECS)
def test_verified(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    executors = tuple(replace(e, dtypes=("float64",)) for e in verify_run.EXECUTORS)
    monkeypatch.setattr(verify_run, "EXECUTORS", executors)
    result = compiled(target_of(spec), Options.make({}, backend="native"), until="code")
    module = seqc.load(spec)
    found = []
    for made in vars(module).values():
        if isinstance(made, type) and getattr(made, "KERNELS", ()):
            found += [(k, text, adjoint) for k, (text, _, adjoint, _) in zip(kernels_of(made.KERNELS), made.KERNELS, strict=True)]
    assert found
    share(found, at_once=len(found))
    make = maker(result)
    with unoptimised():
        checks = [
            c
            for body in result.bodies
            for c in verify_run.verified(body, make, result.report["cells"].get(body.name, {}), backends=("native",))
        ]
    said = [f"{c.body} {c.what}: {c.error} > {c.limit} {c.note}" for c in checks if c.verdict == "failed"]
    assert not said, "\n".join(said)
    assert {"values", "gradients"} <= {c.what for c in checks if c.verdict == "ok"}
