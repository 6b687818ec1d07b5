"""`explain`, `list`, `graph`: what they print, and that it is the same each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from seqc.compiler.cli.main import main
from seqc.compiler.diagnostics.codes import CODES
from seqc.compiler.driver.explain.catalogue import source_of
from seqc.compiler.frontend.bundled import all_bundled

MODES = ["sequential", "associative", "chunked", "quadratic", "convolution", "newton"]


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_the_report_has_every_section(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "explain", "gru:GRU")
    for word in ("equations", "recurrence", "streaming", "parameters", "cost", "plan"):
        assert f"\n{word}" in text
    assert "h_t     [N]  = (1 - z_t) * n_t + z_t * h_{t-1}" in text
    assert "{h}  nonlinear/dense" in text
    assert "enters sigmoid on line" in text, "reasons name the line"
    assert "r.linear.h" in text, "parameters by the names in state_dict"
    assert "ChoGRU" not in text and "ChoGRU" in printed(capsys, "explain", "gru")


def test_figures_follow_the_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "explain", "gru:GRU", "--set", "D=64", "--shape", "4x256")
    assert "for D = 64, N = 64" in text and "assumed" not in text
    weights = 3 * (64 * 64 + 64 * 64)
    biases = 4 * 64
    assert f"{weights + biases:,}".replace(",", " ") in text
    assert "training, 4 x 256" in text


def test_state_bytes_of_the_plain_report(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "explain", "window_attention", "--set", "D=64")
    assert "the last W - 1 values of k [H, K]" in text
    assert f"{2 * 127 * 64 * 4 / 1024:.3g} KiB" in text


def test_json_is_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    report: dict[str, Any] = json.loads(printed(capsys, "explain", "jordan", "--format", "json"))
    assert list(report) == ["cells"]
    for cell in report["cells"].values():
        assert set(cell) == {"streams", "components", "variants"}
        assert cell["streams"] in ("step", "after prefix", "by segments", "no")
        for c in [*cell["components"], *(c for v in cell["variants"] for c in v["components"])]:
            assert set(c) == {
                "states", "family", "structure", "coefficient_axes", "coupled", "time_invariant", "complex", "differentiable",
                "modes",
            }  # fmt: skip
            assert list(c["modes"]) == MODES
            assert all(set(m) == {"legal", "why"} and m["why"] for m in c["modes"].values())
    (jordan,) = report["cells"].values()
    assert [v["given"] for v in jordan["variants"]] == [["y"]]


def test_given_inputs_make_another_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nonlinear/dense" in printed(capsys, "explain", "jordan", "--stage", "analysis")
    assert "nonlinear/dense" not in printed(capsys, "explain", "jordan", "--stage", "analysis", "--given", "y")


def test_codes_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for code in CODES:
        assert printed(capsys, "explain", code).startswith(f"{code}: ")
    assert printed(capsys, "explain", "seq0104").startswith("SEQ0104: ")


@pytest.mark.parametrize("stage", ["syntax", "spec", "graph", "analysis", "plan", "code"])
def test_stages_print(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "explain", "lstm", "--stage", stage)
    assert "LSTM" in text and text == printed(capsys, "explain", "lstm", "--stage", stage)


def test_all_stages_into_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, "explain", "lstm", "--stage", "all", "-o", str(tmp_path / "stages"))
    assert sorted(p.name for p in (tmp_path / "stages").iterdir()) == [
        "1_lstm.syntax.seq", "2_lstm.spec.txt", "3_lstm.graph.txt", "4_lstm.analysis.txt", "5_lstm.plan.txt",
        "6_lstm.kernel.txt", "7_lstm.code.py",
    ]  # fmt: skip
    compile((tmp_path / "stages" / "7_lstm.code.py").read_text(encoding="utf-8"), "lstm.py", "exec")


def test_compile(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = printed(capsys, "compile", "gru")
    assert "wrote gru.py" in text and "GRU: native, sequential" in text, "what was chosen is said"
    code = (tmp_path / "gru.py").read_text(encoding="utf-8")
    assert printed(capsys, "compile", "gru", "-o", "-") == code, "the same bytes each time"
    assert "class GRU(" in code and "gru.seq:" in code and str(tmp_path) not in code
    assert not [line for line in code.splitlines() if line.startswith(("import seqc.compiler", "from seqc.compiler"))]
    assert "GRU: reference, sequential" in printed(capsys, "compile", "gru", "--backend", "reference", "-o", "y.py")
    assert main(["compile", "mamba2", "--scan", "associative", "-o", "x.py"]) == 1
    assert "SEQ0540" in capsys.readouterr().err and not (tmp_path / "x.py").exists()


def test_where_a_spec_lies_does_not_show_in_its_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = []
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mine.seq").write_text(printed(capsys, "explain", "gla", "--stage", "syntax"), encoding="utf-8")
        codes.append(printed(capsys, "compile", str(folder / "mine.seq"), "-o", "-"))
    assert codes[0] == codes[1]


def test_the_syntax_stage_is_a_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy.seq"
    copy.write_text(printed(capsys, "explain", "gla", "--stage", "syntax"), encoding="utf-8")
    assert main(["check", str(copy)]) == 0


def test_dumps_and_talk(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQC_DUMP", "graph")
    monkeypatch.setenv("SEQC_LOG", "+analysis")
    assert main(["explain", "elman", "--format", "json"]) == 0
    streams = capsys.readouterr()
    assert "---- graph" in streams.err and "state h" in streams.err and "analysis of elman" in streams.err
    json.loads(streams.out)


def test_a_schedule_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "mine.seq"
    text = (
        "seq 1\ncell Mine over t:\n    dim D\n    in x : [D]\n    state h : [D] init 0\n    h = {}\n    out h\n    schedule:\n"
        "        scan = {}\n"
    )
    spec.write_text(text.format("0.5 * h[t-1] + x", "associative"), encoding="utf-8")
    assert main(["check", str(spec)]) == 0
    assert "asks for associative" in printed(capsys, "explain", str(spec)), "legal, but nobody runs it yet: it is said"
    spec.write_text(text.format("tanh(h[t-1] + x)", "convolution"), encoding="utf-8")
    assert main(["check", str(spec)]) == 1
    assert "SEQ0511" in capsys.readouterr().err
    assert main(["explain", "gru", "--scan", "associative"]) == 1
    assert "SEQ0511" in capsys.readouterr().err
    assert main(["explain", "gru", "--backend", "metal"]) == 2
    assert "metal" in capsys.readouterr().err


# ---- list -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("SEQC_CACHE_DIR", str(folder))
    return folder


def test_list(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "list")
    lines = text.splitlines()
    for entry in all_bundled():
        assert sum(line.split()[:1] == [entry.stem] for line in lines) == 1
    row = next(line for line in lines if line.split()[:1] == ["mamba2"])
    assert "affine/scalar" in row and "chunked" in row and "2405.21060" in row
    assert printed(capsys, "list") == text, "the second time it comes from the cache"
    rows = [line.split()[0] for line in printed(capsys, "list", "newton", "block").splitlines() if line.startswith("  ")]
    assert rows == ["paralstm"], "only those that have all the words"
    assert "list of bundled specs" in printed(capsys, "cache", "list")


def test_list_as_json(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    specs = json.loads(printed(capsys, "list", "--format", "json"))["specs"]
    assert [s["name"] for s in specs] == [e.stem for e in all_bundled()]
    for s in specs:
        assert set(s) == {"name", "folder", "class", "modes", "doc", "source", "bodies"}
        assert s["source"], s["name"]
    retnet = next(s for s in specs if s["name"] == "retnet")
    assert retnet["class"] == "affine/scalar *" and set(retnet["modes"]) >= {"chunked", "convolution"}


@pytest.mark.parametrize(
    ("doc", "source"),
    [
        ("A unit. Cho et al., 2014 (arXiv:1406.1078).", "Cho et al., 2014 (arXiv:1406.1078)"),
        ("As published: so. A. Author & B. Other 2020.", "A. Author & B. Other 2020"),
        ("No source", "No source"),
        ("", ""),
    ],
)
def test_sources(doc: str, source: str) -> None:
    assert source_of(doc) == source


# ---- graph ------------------------------------------------------------------------------------------------------------


def test_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "wrote gru.svg" in printed(capsys, "graph", "gru")
    text = (tmp_path / "gru.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "nonlinear/dense" in text and "h[t−1]" in text
    assert printed(capsys, "graph", "gru", "-o", "-") == text
    assert "wrote x.svg" in printed(capsys, "graph", "gru:ChoGRU", "-o", "x.svg")
    assert "ChoGRU" in (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert main(["graph", "gru", "-o", "no/such/folder/x.svg"]) == 2
