"""`--scan newton` of the commands: what they run, what they say, what they refuse."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from seqc.compiler.cli.main import main
from seqc.compiler.driver.verify.executors import _no_compiler

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.skipif(bool(_no_compiler()), reason="there is no C compiler")

DIAGONAL_AND_DENSE = """seq 1
cell Two over t:
    dim N
    in x : [N]
    param w : [N] init 0.3
    state a : [N] init 0
    state b : [N] init 0
    a = tanh(w * a[t-1] + x)
    b = tanh(linear(b[t-1]) + a)
    out y : [N] = b
    schedule:
        scan = newton(iterations = 30)
"""


def test_verify(capsys: pytest.CaptureFixture[str]) -> None:
    """By itself verify takes the mode in; it says for each layer that the iteration converged."""
    assert main(["verify", "paralstm", "--scan", "newton(iterations = 20)", "--backend", "native", "--format", "json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {c["mode"] for c in checks} == {"newton(iterations = 20)"}
    assert [c["verdict"] for c in checks if c["what"] == "converged"] == ["ok", "ok"]
    assert {"values", "final state", "gradients", "gradcheck", "reset", "packed = apart"} <= {c["what"] for c in checks}


def test_verify_says_what_did_not_converge(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(UserWarning, match="did not converge"):
        assert main(["verify", "paralstm", "--scan", "newton(iterations = 1)", "--backend", "native", "--format", "json"]) == 0
    told = [c for c in json.loads(capsys.readouterr().out)["checks"] if c["what"] == "converged"]
    assert all(c["verdict"] == "skipped" and "1 iterations left" in c["note"] for c in told) and told


@pytest.mark.parametrize(
    ("spec", "words"),
    [("lif", ("SEQ0511", "not differentiable")), ("gru", ("SEQ0540", "its Jacobian is dense")), ("gla", ("SEQ0511", "affine"))],
)
def test_refused(spec: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", spec, "--scan", "newton", "--backend", "native"]) == 1
    told = capsys.readouterr().err
    assert all(w in told for w in words)
    assert main(["compile", spec, "--scan", "newton", "-o", "-"]) == 1


def test_refused_by_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "indrnn", "--scan", "newton", "--backend", "reference"]) == 1
    assert "SEQ0540" in capsys.readouterr().err


def test_compile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A module compiled with the mode starts with it."""
    path = tmp_path / "made.py"
    assert main(["compile", "indrnn", "--scan", "newton(iterations = 40)", "--backend", "native", "-o", str(path)]) == 0
    assert "native, newton" in capsys.readouterr().out
    spec = importlib.util.spec_from_file_location("newton_made", path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    layer = made.IndRNN(D=4, backend="native")
    layer(torch.randn(2, 9, 4))
    assert layer.newton.iterations == 40 and layer.newton_report().solved == 1


def test_explain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "paralstm"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "newton: legal; scan = newton runs it" in text and "c, h solved by Newton's method (blocks of 2)" in text
    assert main(["explain", "paragru", "--stage", "kernel"]) == 0
    assert "# one iteration of Newton's method" in capsys.readouterr().out
    path = tmp_path / "two.seq"
    path.write_text(DIAGONAL_AND_DENSE)
    assert main(["explain", str(path)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "{a} newton: asked for" in text and "{b} sequential: no newton: its Jacobian is dense" in text
