"""The whole order of the compiler, in one list.

`STAGES` is what happens to a spec, from text to code; each stage has a name, one function that makes it from the stages
before, and one that prints it. `compiled(spec, until="plan")` runs them up to one stage and keeps every result. Errors in the
spec raise `Rejected`; anything else that goes wrong inside a stage becomes a `Crash` that names the last good stage.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from seqc.compiler.diagnostics.diagnostic import Rejected, Sink
from seqc.compiler.driver.crash import Crash
from seqc.compiler.driver.target import Target, chosen
from seqc.compiler.driver.usage import Unusable
from seqc.compiler.frontend.imports import Project, load
from seqc.compiler.ir.spec import Body, Program


@dataclass(slots=True)
class Run:
    """One spec on its way through the compiler; `results` holds what each stage made."""

    target: Target
    options: Any = None
    sink: Sink = field(default_factory=Sink)
    results: dict[str, Any] = field(default_factory=dict)

    @property
    def project(self) -> Project:
        """The syntax trees."""
        return self.results["syntax"]  # type: ignore[no-any-return]

    @property
    def program(self) -> Program:
        """The checked spec."""
        return self.results["spec"]  # type: ignore[no-any-return]

    @property
    def bodies(self) -> list[Body]:
        """The bodies asked for. Raises `Unusable`."""
        return chosen(self.program, self.target)

    @property
    def text(self) -> str:
        """The main file's text, as far as it could be read."""
        project = self.results.get("syntax")
        if project is None:
            return ""
        source = project.sources.get(project.main.path)
        return source.text if source else ""


@dataclass(frozen=True, slots=True)
class Stage:
    """`make` builds the stage's result from the run so far; `show` prints it, in the language where that can be done."""

    name: str
    what: str
    make: Callable[[Run], Any]
    show: Callable[[Run], str]


def _syntax(run: Run) -> Any:
    project = load(run.target.spec, run.sink)
    run.sink.stop()
    return project


def _show_syntax(run: Run) -> str:
    from seqc.compiler.frontend.unparse import text_of

    return text_of(run.project.main)


def _spec(run: Run) -> Any:
    from seqc.compiler.check import check

    program = check(run.project, run.sink)
    run.sink.stop()
    chosen(program, run.target)
    return program


def _show_spec(run: Run) -> str:
    from seqc.compiler.driver.explain.spec_text import spec_text

    return spec_text(run.program)


def _graph(run: Run) -> Any:
    from seqc.compiler.graph.build import build

    dims = getattr(run.options, "dims", {})
    given = getattr(run.options, "given", ())
    return {
        b.name: build(run.program, b.key, given, {d.name: dims[d.name] for d in b.dims if d.name in dims}) for b in run.bodies
    }


def _show_graph(run: Run) -> str:
    from seqc.compiler.graph.printer import print_graph

    return "\n".join(print_graph(graph) for graph in run.results["graph"].values())


STAGES: tuple[Stage, ...] = (
    Stage("syntax", "the text as a tree", _syntax, _show_syntax),
    Stage("spec", "names, axes, ranges, parameters", _spec, _show_spec),
    Stage("graph", "one dataflow graph for each body", _graph, _show_graph),
)
"""What happens to a spec, in this order."""


def compiled(target: Target, options: Any = None, *, until: str = "spec", sink: Sink | None = None) -> Run:
    """Runs the stages up to and with `until`. Raises `Rejected`, `Unusable`, `Crash`."""
    run = Run(target, options, sink or Sink())
    dump = getattr(options, "dump", ())
    log = getattr(options, "log", ())
    last_good = ""
    for stage in STAGES:
        start = time.perf_counter()
        try:
            run.results[stage.name] = stage.make(run)
            if stage.name in dump:
                print(f"---- {stage.name}: {stage.what} ----\n{stage.show(run)}", file=sys.stderr)
        except (Rejected, Unusable, KeyboardInterrupt):
            raise
        except Exception as error:
            raise Crash(stage.name, last_good, target.spec, run.text) from error
        if stage.name in log:
            print(f"seqc: {stage.name} of {target.spec}: {1e3 * (time.perf_counter() - start):.1f} ms", file=sys.stderr)
        last_good = stage.name
        if stage.name == until:
            break
    return run


def shown(run: Run, stage: str) -> str:
    """A stage as text."""
    return next(s for s in STAGES if s.name == stage).show(run)
