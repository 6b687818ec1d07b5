"""The options record: strict, frozen, and in plain words about what it refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from seqc.compiler.driver.options import Options, dims_of, shape_of
from seqc.compiler.driver.usage import Unusable


def test_defaults_need_nothing() -> None:
    options = Options.make({})
    assert (options.backend, options.scan, options.dims, options.dump) == ("auto", "auto", {}, ())


def test_frozen_and_closed() -> None:
    options = Options.make({})
    with pytest.raises(ValidationError):
        options.scan = "newton"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Options(colour="always")  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        Options(batch="8")  # type: ignore[arg-type]


@pytest.mark.parametrize("scan", ["auto", "sequential", "chunked", "chunked(64)", "newton(tolerance = 1e-6)", "convolution"])
def test_scans(scan: str) -> None:
    assert Options.make({}, scan=scan).scan == scan


def test_attention_is_quadratic() -> None:
    assert Options.make({}, scan="attention").scan == "quadratic"


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("scan", "paralel", "no scan mode"),
        ("scan", "chunked(64); import os", "no scan mode"),
        ("device", "gpu", "cuda"),
        ("dims", {"D": -1}, "out of range"),
        ("dims", {"D": 2**31}, "out of range"),
        ("dims", {"D-1": 3}, "no dim"),
        ("backend", "fast", "backend"),
    ],
)
def test_refused_in_plain_words(field: str, value: object, word: str) -> None:
    with pytest.raises(Unusable) as refused:
        Options.make({}, **{field: value})
    assert word in str(refused.value)


def test_environment() -> None:
    options = Options.make({"SEQC_DUMP": "plan,code", "SEQC_LOG": "+all,-code", "SEQC_REFERENCE": "1", "SEQC_CACHE_DIR": "/x"})
    assert options.dump == ("plan", "code")
    assert options.log == ("syntax", "spec", "graph", "analysis", "plan", "kernel")
    assert options.reference and options.cache_dir == "/x"
    assert not Options.make({"SEQC_REFERENCE": "0"}).reference
    with pytest.raises(Unusable, match="no stage"):
        Options.make({"SEQC_DUMP": "plam"})


def test_settings() -> None:
    assert dims_of(["D=256", "H=4,K=8"]) == {"D": 256, "H": 4, "K": 8}
    assert shape_of("8x1024") == {"batch": 8, "time": 1024}
    for text in ("D", "D=", "D=1.5", "1=2", "D=-3"):
        with pytest.raises(Unusable):
            dims_of([text])
    for text in ("8", "8x", "axb", "8x-1"):
        with pytest.raises(Unusable):
            shape_of(text)
