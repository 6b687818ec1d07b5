"""The model to be trained: a spec compiled, its dims set and its holes filled, with the texts it was made from.

In:   `TrainOptions`.      Out: a `torch.nn.Module` and the spec's text (with the texts of what it imports and of its holes).
Refuses: (`Unusable`) a spec without a model, or with several and none named; a hole or a dim that does not exist.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import nn

from seqc.compiler.diagnostics.diagnostic import Rejected
from seqc.compiler.diagnostics.suggest import did_you_mean
from seqc.compiler.driver.load import load
from seqc.compiler.driver.pipeline import Run, compiled
from seqc.compiler.driver.sizes import resolve
from seqc.compiler.driver.target import Target, main_body, target_of
from seqc.compiler.driver.train.options import TrainOptions
from seqc.compiler.driver.usage import Unusable
from seqc.compiler.frontend.bundled import bundled
from seqc.compiler.ir.spec import Body


def build(options: TrainOptions) -> tuple[nn.Module, dict[str, str]]:
    """The model with freshly drawn parameters, and texts for its checkpoints. Raises `Unusable` and `Rejected`."""
    run = _found(Target(options.spec, options.body))
    body = _model(run)
    texts = _texts(run, "")
    given: dict[str, Any] = dict(options.dims)
    holes = [hole.name for hole in body.holes]
    for name, spec in options.holes.items():
        if name not in holes:
            there = f"its holes are {', '.join(holes)}" if holes else "it has none"
            raise Unusable(f"`{body.name}` has no hole `{name}`", did_you_mean(name, holes) or there)
        target = target_of(spec)
        filler = _found(target)
        texts |= _texts(filler, f"{name}: ")
        given[name] = getattr(load(target.spec), main_body(filler.bodies, target).name)
    resolve(body, options.dims)
    torch.manual_seed(options.seed)
    try:
        model = getattr(load(options.spec), body.name)(**given)
    except (TypeError, ValueError) as wrong:
        raise Unusable(str(wrong)) from None
    assert isinstance(model, nn.Module)
    return model.to(options.device), {"spec": run.text, "sources": json.dumps(texts), "model": body.name}


def _found(target: Target) -> Run:
    """The compiled spec; one that is not there is a mistake in the command, not in a spec."""
    try:
        return compiled(target)
    except Rejected as wrong:
        missing = [d for d in wrong.diagnostics if d.code == "SEQ0280"]
        if missing:
            raise Unusable(missing[0].message, did_you_mean(target.spec, list(bundled())) or missing[0].help) from None
        raise


def size_of(options: TrainOptions, dim: str, otherwise: int) -> int:
    """The size that a dim of the model has."""
    body = _model(compiled(Target(options.spec, options.body)))
    return resolve(body, options.dims).get(dim, otherwise)


def _model(run: Run) -> Body:
    """The body to train: the one named, else the only `model`, else the only body."""
    if run.target.body:
        return main_body(run.bodies, run.target)
    models = [body for body in run.bodies if body.kind == "model"] or run.bodies
    if len(models) > 1:
        names = [f"{run.target.spec}:{body.name}" for body in models]
        raise Unusable(f"`{run.target.spec}` has several models", f"name one: {' or '.join(names)}")
    return main_body(models, run.target)


def _texts(run: Run, prefix: str) -> dict[str, str]:
    """All sources of a spec by the dotted names of their files."""
    files, sources = run.project.files, run.project.sources
    return {prefix + key: sources[file.path].text for key, file in files.items() if file.path in sources}
