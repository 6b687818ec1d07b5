"""Calls of other bodies as Python text, and what is known of a call when the class is written.

Out:  `Site` records (which argument, which axes), the line that builds the callee, the call itself with the axes of its arguments
      spelled out, and its state as a field of this body's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.emitter import Emitter, minus, refuse, rule
from seqc.compiler.lower.reference.layout import BATCH, CHAIN, Code, Layout, spelled
from seqc.compiler.lower.reference.scope import Scope
from seqc.compiler.lower.reference.text import wrapped


@dataclass(frozen=True, slots=True)
class Place:
    """One call in a body: its path, the value whose equation it stands in, and the call."""

    path: str
    owner: spec.Value
    call: x.Invoke
    start: bool = False


def places_of(body: spec.Body) -> Iterator[Place]:
    """Every call of a body that has a module of its own, in textual order."""
    seen: set[int] = set()
    paths: set[str] = set()
    for v in body.values:
        for is_start, root in ((False, v.value), (True, v.start)):
            if root is None:
                continue
            for n in x.walk(root):
                if isinstance(n, x.Invoke) and id(n) not in seen:
                    seen.add(id(n))
                    if n.callee.extern:
                        continue
                    head = v.name.split(".")[0] if v.kind == "hidden" else v.name
                    path = f"{head}.{n.label}"
                    if v.kind == "hidden" and v.owner:
                        path = f"{v.owner}.{n.label}"
                    k = 2
                    wish = path
                    while path in paths:
                        path = f"{wish}{k}"
                        k += 1
                    paths.add(path)
                    yield Place(path, v, n, is_start)


def stateful(program: spec.Program, call: x.Invoke, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a call may carry state along this body's chain (holes may always)."""
    if call.callee.function and not call.callee.hole:
        return False
    return True


@rule(x.Invoke)
def invoke(m: Emitter, e: x.Invoke, s: Scope) -> Code:
    """A call as a value: its only out."""
    if e.callee.extern:
        raise refuse("SEQ0515", f"the operator `{e.label}` of the host is called with the issue that brings externs", e.span)
    if e.callee.function and not e.callee.key:
        return function_hole(m, e, s)
    fields = called(m, e, s)
    name = e.out or next(iter(fields))
    return fields[name]


def function_hole(m: Emitter, e: x.Invoke, s: Scope) -> Code:
    """A hole whose default is a function: that function, unless the hole is filled otherwise."""
    if not e.callee.hole:
        assert e.expansion is not None
        return m.emit(e.expansion, s)
    assert e.expansion is not None
    place = m.sites.get(id(e))
    if place is None or m.mode in ("build", "start"):
        return m.emit(e.expansion, s)
    name = m.namer.fresh(f"{m.equation}_{e.label}")
    outer = s.block
    lift, choice = outer.nest(), outer.nest()
    s.block = lift
    filled = choice.nest(f"if {e.callee.hole!r} in self._filled:")
    yes = Scope(filled, s.chain, parent=s, branch=True)
    axes = tuple(a for a in e.axes if a != m.chain)
    made = called(m, e, yes, (("out", e.axes, e.type),))["out"]
    filled.add(f"{name} = {made.text}")
    other = choice.nest("else:")
    no = Scope(other, s.chain, parent=s, branch=True)
    default = m.emit(e.expansion, no)
    layout = Layout(made.layout.batch or default.layout.batch, made.layout.chain or default.layout.chain, axes)
    other.add(f"{name} = {m.expanded(default, layout, no, e.type).text}")
    s.block = outer
    return Code(name, layout, e.type)


def outs_of(e: x.Invoke) -> tuple[tuple[str, x.Axes, x.Type], ...]:
    """What can be read of a call; a hole without default gives one value."""
    return e.outs or (("out", e.axes, e.type),)


def called(
    m: Emitter, e: x.Invoke, s: Scope, outs: tuple[tuple[str, x.Axes, x.Type], ...] | None = None, fields: frozenset[str] | None = None
) -> dict[str, Code]:
    """Writes the call; gives the code of each out that is read."""
    place: Place = m.sites[id(e)]
    outs = outs or outs_of(e)
    if fields is not None:
        outs = tuple(o for o in outs if o[0] in fields)
    elif e.out:
        outs = tuple(o for o in outs if o[0] == e.out)
    args: list[tuple[str, Code]] = []
    for position, a in enumerate(e.arguments):
        code = m.emit(a.value, s)
        if code.number and code.text != "None":
            code = Code(f"torch.tensor({code.text}, dtype={m.dtype(code.type)}, device=run.device)", Layout(), code.type)
        args.append((a.name or f"arg{position}", m.short(code, f"{m.equation}_{a.name or 'arg'}", s)))
    starts = [(n, start_code(m, v, s)) for n, v in e.starts]
    params = [(n, m.emit(v, s)) for n, v in e.params]
    state = held_state(m, place, s)
    codes = [c for _, c in (*args, *starts, *params) if c.text != "None"]
    cell = bool(m.body.topology)
    along = not cell and any(caller == m.chain for _, caller, _ in e.along)  # a cell that has nothing but `once` inputs
    steps = s.chain and (any(c.layout.chain for c in codes) or (cell and e.inline and bool(e.along)) or along)
    batch = any(c.layout.batch for c in codes) or (cell and e.inline and bool(e.along)) or bool(state)
    if m.mode in ("build", "start") and not codes:
        batch = False
    wanted: dict[str, Layout] = {}
    for n, axes, _ in outs:
        chain_here = steps and (cell or m.chain in axes)
        wanted[n] = Layout(batch, chain_here, tuple(a for a in axes if a != m.chain))
    site = f"self.SITES[{place.path!r}]"
    at = "self"
    for lv in place.owner.level:
        loop = s.level_loop(lv)
        if loop is not None and m.levels[lv].kind == "stack":
            at = loop.at
    target = f"self.target({place.path!r})" if at == "self" else f"self.target({place.path!r}, {at})"
    given = ", ".join(f"{n!r}: ({c.text}, {spelled(c.layout, m.chain)!r})" for n, c in args)
    results = ", ".join(f"{n!r}: {spelled(la, m.chain)!r}" for n, la in wanted.items())
    here = "run" if s.timed is None else m_step_run(m, s)
    parts = [site, "self", target, here, "{" + given + "}", "{" + results + "}"]
    if state:
        parts.append(state)
    if starts:
        parts.append("starts={" + ", ".join(f"{n!r}: ({c.text}, {spelled(c.layout, m.chain)!r})" for n, c in starts) + "}")
    if params:
        parts.append("params={" + ", ".join(f"{n!r}: ({c.text}, {spelled(c.layout, m.chain)!r})" for n, c in params) + "}")
    var = m.namer.fresh(place.path)
    s.block.add("\n".join(wrapped(f"{var} = calls.call(", parts, ")")))
    keep_state(m, place, var, s)
    s.known[f"call {id(e)}"] = Code(var, Layout())
    return {n: Code(f"{var}[{n!r}]", la, dict((o, k) for o, _, k in outs)[n]) for n, la in wanted.items()}


def m_step_run(m: Emitter, s: Scope) -> str:
    """The run of one step, for calls inside a loop over time."""
    timed = s.timed
    assert timed is not None and timed.time is not None
    held = timed.known.get("step run")
    if held is None:
        name = m.namer.fresh("now")
        timed.time.body.items.insert(0, f"{name} = run.at_step(n_step)")
        held = Code(name, Layout())
        timed.known["step run"] = held
    return held.text


def start_code(m: Emitter, v: x.Expr, s: Scope) -> Code:
    """A bound start: a value, or the final state of another call (`start = enc`)."""
    if isinstance(v, x.Read) and not v.axes and not v.field_ and m.table.get(v.name) is not None:
        holder = m.table[v.name].value
        if isinstance(holder, x.Invoke):
            for a in s.above():
                made = a.known.get(f"call {id(holder)}")
                if made is not None:
                    return Code(f"{made.text}.state", Layout())
            raise refuse("SEQ0502", f"`start = {v.name}`: that call has not run yet at this place", v.span)
    code = m.emit(v, s)
    if code.number:
        return Code(f"torch.tensor({code.text}, dtype=run.dtype, device=run.device)", Layout(), code.type)
    return code


def field_name(m: Emitter, path: str) -> str:
    """The state's field of a call; "" where it has none."""
    return next((f.field for f in m.fields.values() if f.kind == "call" and f.name == path), "")


def held_state(m: Emitter, place: Place, s: Scope) -> str:
    """Where the state before this call is."""
    field = field_name(m, place.path)
    if not field or m.mode not in ("sequence", "step"):
        return ""
    timed = s.timed
    if timed is not None:
        held = timed.known.get(f"{place.path} was")
        if held is not None:
            outer = timed.parent.levels if timed.parent else ()
            index = "".join(
                f"[{minus(lp.number, lp.low)}]" for lv in place.owner.level if lv not in outer and (lp := s.level_loop(lv)) is not None
            )
            return held.text + index
    return m.state(field, s, place.owner.level)


def keep_state(m: Emitter, place: Place, var: str, s: Scope) -> None:
    """Where the state after this call goes."""
    field = field_name(m, place.path)
    if not field or m.mode not in ("sequence", "step"):
        return
    name = m.namer.fresh(f"{place.path}_after")
    at = s
    while at.branch:
        assert at.parent is not None
        at = at.parent
    if at is not s:
        before_branches(at, f"{name} = None")
    s.block.add(f"{name} = {var}.state")
    if at.time is not None:
        at.known[f"{place.path} after"] = Code(name, Layout())
        return
    from seqc.compiler.lower.reference.statements import note

    note(m, field, name, at)


def before_branches(s: Scope, line: str) -> None:
    """Adds a line before the branches of the statement being written."""
    at = len(s.block.items)
    while at > 0:
        last = s.block.items[at - 1]
        if isinstance(last, str) or not last.header:
            break
        at -= 1
    s.block.items.insert(at, line)


def parameter_of(m: Emitter, e: x.Read, s: Scope) -> Code | None:
    """`a.lam`: a parameter of a called body."""
    holder = m.table.get(e.name)
    if holder is None or not isinstance(holder.value, x.Invoke) or id(holder.value) not in m.sites:
        return None
    place: Place = m.sites[id(holder.value)]
    if e.field_ in {n for n, _, _ in holder.value.outs}:
        return None
    at = "self"
    for lv in place.owner.level:
        loop = s.level_loop(lv)
        if loop is not None and m.levels[lv].kind == "stack":
            at = loop.at
    return Code(f"{at}.held({place.path!r}).held({e.field_!r})", Layout(False, False, e.axes), e.type)


__all__ = ["BATCH", "CHAIN", "Place", "called", "places_of"]
