"""The whole order of the compiler, in one list.

`STAGES` is what happens to a spec, from text to code; each stage has a name, one function that makes it from the stages
before, and one that prints it. `compiled(spec, until="plan")` runs them up to one stage and keeps every result. Errors in the
spec raise `Rejected`; anything else that goes wrong inside a stage becomes a `Crash` that names the last good stage.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seqc.compiler.diagnostics.diagnostic import Rejected, Sink
from seqc.compiler.driver.crash import Crash
from seqc.compiler.driver.target import Target, chosen
from seqc.compiler.driver.usage import Unusable
from seqc.compiler.frontend.imports import Project, load
from seqc.compiler.ir.spec import Body, Program

if TYPE_CHECKING:
    from seqc.compiler.analysis.analyse import Analyst
    from seqc.compiler.driver.options import Options
    from seqc.compiler.ir.graph import StepGraph
    from seqc.compiler.ir.plan import Plan
    from seqc.compiler.ir.verdict import Verdict
    from seqc.compiler.lower.native.emit_module import Lowered


@dataclass(slots=True)
class Run:
    """One spec on its way through the compiler; `results` holds what each stage made."""

    target: Target
    options: Options | None = None
    sink: Sink = field(default_factory=Sink)
    results: dict[str, Any] = field(default_factory=dict)
    analyst: Analyst | None = None

    @property
    def project(self) -> Project:
        """The syntax trees."""
        return self.results["syntax"]  # type: ignore[no-any-return]

    @property
    def program(self) -> Program:
        """The checked spec."""
        return self.results["spec"]  # type: ignore[no-any-return]

    @property
    def graphs(self) -> dict[str, StepGraph]:
        """The step graph of each body asked for, by its name."""
        return self.results["graph"]  # type: ignore[no-any-return]

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """What the analysis says of each body asked for, by its name."""
        return self.results["analysis"]  # type: ignore[no-any-return]

    @property
    def plans(self) -> dict[str, Plan]:
        """The plan of each body asked for, by its name."""
        return self.results["plan"]  # type: ignore[no-any-return]

    @property
    def lowered(self) -> Lowered:
        """The module's classes, and the kernels of each body."""
        return self.results["kernel"]  # type: ignore[no-any-return]

    @property
    def code(self) -> str:
        """The text of the Python module."""
        return self.results["code"]  # type: ignore[no-any-return]

    @property
    def choices(self) -> list[str]:
        """What was chosen for each body, a line each."""
        return [
            f"{name}: {plan.backend}, {', '.join(dict.fromkeys(c.mode for c in plan.choices)) or 'no scan'} ({plan.why})"
            for name, plan in self.plans.items()
        ]

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

    @property
    def report(self) -> dict[str, Any]:
        """The analysis of every body asked for as plain data, as `seqc explain --format json` has it: `{"cells": {…}}`."""
        from seqc.compiler.analysis.report import cell_report

        assert self.analyst is not None
        cells = {
            b.name: cell_report(self.verdicts[b.name], self.analyst.variants(b.key), self.graphs[b.name].optional)
            for b in self.bodies
        }
        return {"cells": {name: cell.model_dump(mode="json") for name, cell in cells.items()}}


@dataclass(frozen=True, slots=True)
class Stage:
    """`make` builds the stage's result from the run so far; `show` prints it, in the language where that can be done."""

    name: str
    what: str
    make: Callable[[Run], Any]
    show: Callable[[Run], str]


def _syntax(run: Run) -> Project | None:
    project = load(run.target.spec, run.sink)
    run.sink.stop()
    return project


def _show_syntax(run: Run) -> str:
    from seqc.compiler.frontend.unparse import text_of

    return text_of(run.project.main)


def _spec(run: Run) -> Program:
    from seqc.compiler.check import check

    program = check(run.project, run.sink)
    run.sink.stop()
    chosen(program, run.target)
    return program


def _show_spec(run: Run) -> str:
    from seqc.compiler.driver.explain.spec_text import spec_text

    return spec_text(run.program)


def _graph(run: Run) -> dict[str, StepGraph]:
    from seqc.compiler.analysis.analyse import Analyst

    dims = run.options.dims if run.options else {}
    if dims:
        _known_dims(run, dims)
    run.analyst = Analyst(run.program, dims)
    return {b.name: run.analyst.graph(b.key, _given(run, b)) for b in run.bodies}


def _known_dims(run: Run, dims: Mapping[str, int]) -> None:
    """Sizes that were set must be those of dims of a body asked for. Raises `Unusable`."""
    from seqc.compiler.diagnostics.suggest import did_you_mean

    names = dict.fromkeys(d.name for b in run.bodies for d in b.dims)
    for name in dims:
        if name not in names:
            where = f"`{run.bodies[0].name}`" if len(run.bodies) == 1 else f"`{run.target.spec}`"
            raise Unusable(f"{where} has no dim `{name}`", did_you_mean(name, names) or f"its dims are {', '.join(names)}")


def _given(run: Run, body: Body) -> tuple[str, ...]:
    """The optional inputs of a body that options take as given."""
    names = {v.name for v in body.values if v.kind == "input" and v.value is not None}
    return tuple(n for n in (run.options.given if run.options else ()) if n in names)


def _show_graph(run: Run) -> str:
    from seqc.compiler.graph.printer import print_graph

    return "\n".join(print_graph(graph) for graph in run.graphs.values())


def _analysis(run: Run) -> dict[str, Verdict]:
    assert run.analyst is not None
    return {b.name: run.analyst.verdict(b.key, _given(run, b)) for b in run.bodies}


def _show_analysis(run: Run) -> str:
    from seqc.compiler.driver.explain.verdict import verdict_text

    return "\n".join(verdict_text(v) for v in run.verdicts.values())


def _plan(run: Run) -> dict[str, Plan]:
    from seqc.compiler.driver.schedule import check_schedules
    from seqc.compiler.lower.native.emit_newton import scheduled
    from seqc.compiler.plan.choose_scan import choose

    check_schedules(run.bodies, run.verdicts, run.sink)
    run.sink.stop()
    device, scan, backend = "cpu", "auto", "auto"
    if run.options is not None:
        device, scan = run.options.device, run.options.scan
        backend = "reference" if run.options.reference else run.options.backend
    found = {}
    for body in run.bodies:
        verdict, asked = run.verdicts[body.name], scheduled(body) if scan == "auto" else ""
        try:
            found[body.name] = choose(verdict, device, asked or scan, backend)
        except Rejected:
            if not asked:
                raise
            # a schedule never changes what runs where, only how: what cannot be had is said by `explain`
            found[body.name] = choose(verdict, device, "auto", backend)
    return found


def _show_plan(run: Run) -> str:
    from seqc.compiler.plan.choose_scan import print_plan

    return "\n".join(print_plan(plan) for plan in run.plans.values())


def _kernel(run: Run) -> Lowered:
    from seqc.compiler.emit.module import source_name
    from seqc.compiler.lower.native.emit_module import lower

    return lower(run.program, source_name(run.program.path))


def _show_kernel(run: Run) -> str:
    from seqc.compiler.driver.explain.kernels import kernel_text

    return kernel_text(run.lowered)


def _code(run: Run) -> str:
    from seqc.compiler.driver.explain.text import summary
    from seqc.compiler.emit.module import emit, source_name

    told = {name: "\n".join(summary(run, body)) for name, body in zip(run.verdicts, run.bodies, strict=True)}
    words = ["seqc compile", source_name(run.program.path)]
    if run.options is not None:
        words += [f"--backend {run.options.backend}"] if run.options.backend != "auto" else []
        words += [f"--scan '{run.options.scan}'"] if run.options.scan != "auto" else []
    if run.options is not None and run.options.scan.startswith("newton"):
        _solved(run, run.options.scan)
    return emit(run.program, command=" ".join(words), report=told, lowered=run.lowered).text


def _solved(run: Run, scan: str) -> None:
    """Newton's method is what the module's loops start with. Raises `Rejected` where no kernel can be solved by it."""
    from seqc.compiler.diagnostics.diagnostic import Diagnostic, Note

    natives = run.lowered[1].values()
    if not any(native.solved for native in natives):
        left = [Note(f"{', '.join(names)}: {why}") for native in natives for names, why in native.unsolved()]
        raise Rejected((Diagnostic("SEQ0540", f"no loop of {run.target.spec} is solved by Newton's method", notes=tuple(left[:4])),))
    for native in natives:
        native.scan = scan


def _show_code(run: Run) -> str:
    return run.code


STAGES: tuple[Stage, ...] = (
    Stage("syntax", "the text as a tree", _syntax, _show_syntax),
    Stage("spec", "names, axes, ranges, parameters", _spec, _show_spec),
    Stage("graph", "one dataflow graph for each body", _graph, _show_graph),
    Stage("analysis", "components, classes, legal scan modes", _analysis, _show_analysis),
    Stage("plan", "which mode runs, and why", _plan, _show_plan),
    Stage("kernel", "fused loops over time and their adjoints", _kernel, _show_kernel),
    Stage("code", "the Python module", _code, _show_code),
)
"""What happens to a spec, in this order."""


def compiled(target: Target, options: Options | None = None, *, until: str = "spec", sink: Sink | None = None) -> Run:
    """Runs the stages up to and with `until`. Raises `Rejected`, `Unusable`, `Crash`."""
    return advance(Run(target, options, sink or Sink()), until)


def advance(run: Run, until: str) -> Run:
    """Runs the stages that a run has not been through yet, up to and with `until`."""
    target, options = run.target, run.options
    dump = options.dump if options else ()
    log = options.log if options else ()
    last_good = ""
    for stage in STAGES:
        start = time.perf_counter()
        if stage.name in run.results:
            last_good = stage.name
            if stage.name == until:
                break
            continue
        try:
            run.results[stage.name] = stage.make(run)
            if stage.name in dump:
                print(f"---- {stage.name}: {stage.what} ----\n{stage.show(run)}", file=sys.stderr)
        except (Rejected, Unusable):
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
