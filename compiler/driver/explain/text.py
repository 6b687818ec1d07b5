"""`seqc explain SPEC` in words: equations, components and modes with reasons, streaming, parameters, cost, plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from textwrap import wrap

from seqc.compiler.driver import sizes as sizes_of
from seqc.compiler.driver.explain import choices
from seqc.compiler.driver.explain.equations import Equation, equations
from seqc.compiler.driver.explain.kernels import kernel_lines
from seqc.compiler.driver.explain.verdict import buffer_text, facts, kind_of
from seqc.compiler.driver.pipeline import Run
from seqc.compiler.driver.words import topology_text
from seqc.compiler.ir.graph import StepGraph
from seqc.compiler.ir.plan import Plan
from seqc.compiler.ir.poly import Poly
from seqc.compiler.ir.spec import Body
from seqc.compiler.ir.verdict import Component, Cost, Verdict

Style = Callable[..., str]
"""`style(text, "bold", …)`: the text in colours, or as it is."""

_KINDS = {"input": "input", "let": "", "hidden": "", "param": "parameter", "const": "constant"}


def plain(text: str, *styles: str) -> str:
    """No colours."""
    return text


def explain_text(run: Run, style: Style = plain, width: int = 110, figures: bool = False) -> str:
    """The report on every body asked for. `figures`: also what each loop takes on the options' device at their shape."""
    found = choices.report(run) if figures and "kernel" in run.results else None
    return "\n\n".join("\n".join(_body(run, body, style, width, found)) for body in run.bodies) + "\n"


def _body(run: Run, body: Body, style: Style, width: int, found: choices.MachineReport | None) -> Iterator[str]:
    verdict, graph = run.verdicts[body.name], run.graphs[body.name]
    given = run.options.dims if run.options else {}
    known = {d.name for d in body.dims}
    sizes = sizes_of.defaults(body, {k: v for k, v in given.items() if k in known})
    yield style(body.name, "bold") + f"   {topology_text(body)}   " + style(f"{body.span.file}:{body.span.line}", "dim")
    for paragraph in (body.doc or run.program.doc).strip().split("\n\n"):
        yield from ("  " + style(line, "dim") for line in wrap(" ".join(paragraph.split()), width - 2))
    if verdict.given:
        yield f"  with {', '.join(sorted(verdict.given))} given by the caller"
    yield ""
    yield style("equations", "cyan")
    yield from _equations(body, style, width)
    yield ""
    yield style("recurrence", "cyan")
    yield from _components(verdict.components, style, width)
    yield from _called(run, width)
    yield from _variants(run, body, verdict, width)
    yield ""
    yield style("streaming", "cyan")
    yield from _streaming(body, verdict, width)
    yield ""
    yield from _parameters(graph, sizes, style, width)
    yield style("cost", "cyan") + style(_size_note(body, sizes, given), "dim")
    batch, time = (run.options.batch, run.options.time) if run.options else (8, 1024)
    yield from _cost(graph, verdict.cost, sizes, batch, time, style)
    yield ""
    yield style("plan", "cyan")
    yield from _plan(run, body, width)
    if found is not None:
        yield ""
        yield style("machine", "cyan")
        yield from choices.text(found, run, body, width)


def summary(run: Run, body: Body, width: int = 110) -> Iterator[str]:
    """What `layer.explain()` says: recurrence, streaming and plan; the same wherever the spec lies."""
    verdict = run.verdicts[body.name]
    yield f"{body.name}   {topology_text(body)}   line {body.span.line}"
    yield "recurrence"
    yield from _components(verdict.components, plain, width)
    yield from _variants(run, body, verdict, width)
    yield "streaming"
    yield from _streaming(body, verdict, width)
    yield "plan"
    yield from _plan(run, body, width)


# ---- equations --------------------------------------------------------------------------------------------------------


def _equations(body: Body, style: Style, width: int) -> Iterator[str]:
    found = list(equations(body))
    left = min(24, max((len(e.left) for e in found), default=0))
    shapes = min(18, max((len(e.shape) for e in found), default=0))
    level: tuple[str, ...] = ()
    names = {lv.id: lv for lv in body.levels}
    for e in found:
        here = body.table[e.name].level
        if here != level and here:
            lv = names[here[-1]]
            yield style(f"  {lv.kind} {lv.name}:", "dim")
        level = here
        indent = "  " + "  " * len(here)
        head = f"{indent}{e.left.ljust(left - 2 * len(here))}  {e.shape.ljust(shapes)}"
        notes = style(_notes(e), "dim")
        if not e.right:
            yield f"{head}    {notes}".rstrip()
            continue
        room = max(30, width - len(head) - 4)
        first, *more = wrap(e.right, room, break_long_words=False, break_on_hyphens=False) or [""]
        yield f"{head}  = {first}" + (f"   {notes}" if not more and notes else "")
        for line in more[:-1]:
            yield " " * (len(head) + 4) + line
        if more:
            yield " " * (len(head) + 4) + more[-1] + (f"   {notes}" if notes else "")
    for i in body.indices:
        if i.where is not None:
            from seqc.compiler.graph.printer import show

            yield f"  index {i.name} of {i.of} where {show(i.where)}"


def _notes(e: Equation) -> str:
    kind = _KINDS.get(e.kind, e.kind)
    parts = [f"{kind} in {e.range}" if e.range else kind]
    if e.start:
        parts.append(f"starts at {e.start}")
    if e.doc:
        parts.append(" ".join(e.doc.split()))
    text = ", ".join(p for p in parts if p)
    return f"# {text}" if text else ""


# ---- recurrence -------------------------------------------------------------------------------------------------------


def _components(components: Sequence[Component], style: Style, width: int) -> Iterator[str]:
    if not components:
        yield "  none: no value depends on its own past"
    for number, c in enumerate(components, 1):
        about = "; ".join(facts(c))
        yield f"  {number}  {{{', '.join(c.states)}}}  " + style(kind_of(c), "bold") + (f"   {about}" if about else "")
        if c.family == "none":
            continue
        for name, mode in c.modes.items():
            mark = style("legal", "green") if mode.legal else style("no   ", "red")
            yield from _hanging(f"     {name:12} ", mark, mode.why, width)


def _called(run: Run, width: int) -> Iterator[str]:
    """Cells that are called along an axis of their own: their recurrence is theirs."""
    asked = {b.key for b in run.bodies}
    for key, body in run.program.bodies.items():
        if run.analyst is None or key in asked or not body.topology or key in run.program.exports:
            continue
        found = [f"{{{', '.join(c.states)}}} {kind_of(c)}" for c in run.analyst.verdict(key).components if c.family != "none"]
        text = f"with the cell {body.name} inside ({body.span.file}): {', '.join(found) or 'no recurrence'}"
        yield from (f"  {line}" for line in wrap(text, width - 2))


def _hanging(head: str, mark: str, text: str, width: int) -> Iterator[str]:
    """`head mark text`, the text wrapped under itself."""
    room = max(30, width - len(head) - 7)
    first, *more = wrap(text, room) or [""]
    yield f"{head}{mark}  {first}"
    for line in more:
        yield " " * (len(head) + 7) + line


def _variants(run: Run, body: Body, verdict: Verdict, width: int) -> Iterator[str]:
    if run.analyst is None or verdict.given:
        return
    for variant in run.analyst.variants(body.key):
        kinds = ", ".join(f"{{{', '.join(c.states)}}} {kind_of(c)}" for c in variant.components if c.family != "none")
        text = f"with {', '.join(sorted(variant.given))} given: {kinds or 'no recurrence'}"
        yield from (f"  {line}" for line in wrap(text, width - 2))


# ---- streaming, cost, plan --------------------------------------------------------------------------------------------


def _streaming(body: Body, verdict: Verdict, width: int) -> Iterator[str]:
    s = verdict.streaming
    words = {
        "step": "step by step: `step` exists, and any split of a sequence gives the same result",
        "after prefix": "step by step after a prefix",
        "by segments": "by segments",
        "no": "no `step`",
    }
    text = words[s.streams] + (f": {s.reason}" if s.reason is not None else "")
    yield from (f"  {line}" for line in wrap(text, width - 2))
    held = [n for n in s.carried if n in body.table or n]
    if held:
        yield from (f"  {line}" for line in wrap(f"carries {', '.join(held)}", width - 2))
    for b in s.buffers:
        yield from (f"  {line}" for line in wrap(f"remembers {buffer_text(b)}", width - 2, subsequent_indent="  "))


def _parameters(graph: StepGraph, sizes: dict[str, int], style: Style, width: int) -> Iterator[str]:
    """The names in `state_dict`, several with the same shape on a line."""
    shapes: dict[str, list[str]] = {}
    for name, entry in graph.entries.items():
        if entry.kind == "param" or entry.learned:
            axes = ", ".join(a.rstrip("'") for a in entry.axes)
            each = f" for each {', '.join(graph.levels[i].name for i in entry.level)}" if entry.level else ""
            shapes.setdefault(f"[{axes}]{each}", []).append(name if entry.kind == "param" else f"{name}.init")
    if not shapes:
        return
    yield style("parameters", "cyan")
    for shape, names in shapes.items():
        yield from (
            f"  {line}" for line in wrap(f"{shape}  {', '.join(names)}", width - 2, subsequent_indent=" " * (len(shape) + 2))
        )
    yield ""


def _size_note(body: Body, sizes: dict[str, int], given: object) -> str:
    if not sizes:
        return "   (no sizes fit; give some with --set)"
    open_dims = [d.name for d in body.dims if d.value is None]
    text = ", ".join(f"{k} = {v}" for k, v in sizes.items())
    chosen = [d for d in open_dims if not isinstance(given, dict) or d not in given]
    return f"   for {text}" + (f" ({', '.join(chosen)} assumed; --set {chosen[0]}=…)" if chosen else "")


def _cost(graph: StepGraph, cost: Cost, sizes: dict[str, int], batch: int, time: int, style: Style) -> Iterator[str]:
    lengths = {name: time for name in (graph.chain, "t") if name}
    named = {**lengths, **{f"len({n})": v for n, v in lengths.items()}, **graph.sizes, **sizes}
    tokens = batch * time
    rows = [
        ("parameters", cost.parameters, ""),
        ("state, one sequence", cost.state_bytes, "B"),
        ("one step", cost.step_flops, "flop"),
        ("", cost.step_bytes, "B"),
        ("training, one token", cost.train_flops, "flop"),
        ("", cost.train_bytes, "B"),
    ]
    figures = [(what, _figure(poly, named, unit), poly) for what, poly, unit in rows]
    wide = max(len(f) for _, f, _ in figures)
    for what, figure, poly in figures:
        formula = str(poly)
        formula = formula if len(formula) <= 70 else ""
        yield f"  {what:20} {figure.rjust(wide)}   {style(formula, 'dim')}".rstrip()
    total = cost.train_flops.value(named)
    if total is not None:
        yield f"  {'training, ' + f'{batch} x {time}':20} {_scaled(float(total) * tokens, 'flop').rjust(wide)}"


def _figure(poly: Poly, sizes: dict[str, int], unit: str) -> str:
    value = poly.value(sizes)
    return "?" if value is None else _scaled(float(value), unit)


def _scaled(value: float, unit: str) -> str:
    """`1.2 KiB`, `3.4 Mflop`, `12 345`."""
    if unit == "B":
        for word in ("B", "KiB", "MiB", "GiB", "TiB"):
            if value < 1024 or word == "TiB":
                return f"{value:.0f} {word}" if word == "B" else f"{value:.3g} {word}"
            value /= 1024
    if not unit:
        return f"{value:,.0f}".replace(",", " ")
    for word, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {word}{unit}"
    return f"{value:.0f} {unit}"


def _plan(run: Run, body: Body, width: int) -> Iterator[str]:
    plan: Plan = run.plans[body.name]
    yield f"  on {plan.device}: {plan.backend} ({plan.why})"
    for c in plan.choices:
        yield from (f"  {line}" for line in wrap(f"{{{', '.join(c.states)}}} {c.mode}: {c.why}", width - 2))
        if c.hoisted:
            before = f"before the scan, for all steps at once: {', '.join(c.hoisted)}"
            yield from (f"    {line}" for line in wrap(before, width - 4))
        yield from _grouped(c.runners_up, width)
    if plan.backend == "native" and "kernel" in run.results:
        classes, natives = run.lowered
        native = next((natives[c.name] for c in classes if c.body.key == body.key), None)
        for line in kernel_lines(native) if native is not None else ():
            yield from (f"  {part}" for part in wrap(line, width - 2))
    wanted = [word for s in body.settings if s.name == "scan" for word, _ in s.choices if word != "auto"]
    if wanted and not all(c.mode in wanted for c in plan.choices):
        yield f"  the spec asks for {', '.join(wanted)}, which the {plan.backend} backend does not have; the result is the same"
    if any(s.name == "backward" and s.choices[0][0] == "invert" for s in body.settings):
        yield "  the spec asks for backward = invert, which no backend does: states are recomputed; the result is the same"


def _grouped(others: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    """Modes with the same reason in one line."""
    reasons: dict[str, list[str]] = {}
    for mode, why in others:
        reasons.setdefault(why, []).append(mode)
    for why, modes in reasons.items():
        yield from (f"    {line}" for line in wrap(f"{', '.join(modes)}: {why}", width - 4))
