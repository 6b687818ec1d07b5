"""Short ways to check a text in a test, and typed expressions as one line of text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from seqc.compiler.check import check
from seqc.compiler.diagnostics.diagnostic import Rejected, Sink
from seqc.compiler.frontend.imports import load_text
from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec


class Checker:
    """Checks texts. Lines go into `cell C over t` with a dim D, heads H and K, and an input x : [D], unless `head` says more."""

    HEAD = "cell C over t:\n    dim D, H = 4, K = D / H\n    in x : [D]\n"

    def text(self, lines: tuple[str, ...], head: str | None, before: str) -> str:
        parts = [line for text in lines for line in text.split("\n")]
        out = "" if any(line.lstrip().startswith(("out ", "loss ")) for line in parts) else "    out last : [D] = x\n"
        return f"seq 1\n{before}\n{self.HEAD if head is None else head}" + "".join(f"    {line}\n" for line in parts) + out

    def program(self, text: str) -> spec.Program:
        sink = Sink()
        project = load_text(text, "main.seq", sink)
        if project is None:
            raise Rejected(tuple(sink.sorted()))
        return check(project, sink)

    def __call__(self, *lines: str, head: str | None = None, before: str = "") -> spec.Body:
        """The checked body; raises `Rejected`."""
        program = self.program(self.text(lines, head, before))
        return program.bodies[program.exports[-1]]

    def codes(self, *lines: str, head: str | None = None, before: str = "") -> list[str]:
        """The codes of all findings, in the order of the text."""
        sink = Sink()
        try:
            project = load_text(self.text(lines, head, before), "main.seq", sink)
            if project is not None:
                check(project, sink)
        except Rejected:
            pass
        return [d.code for d in sink.sorted()]

    def errors(self, *lines: str, head: str | None = None, before: str = "") -> list[str]:
        """The codes of the errors."""
        return [c for c in self.codes(*lines, head=head, before=before) if not c.startswith("SEQ-W")]

    def value(self, name: str, *lines: str, head: str | None = None, before: str = "") -> x.Expr:
        """The typed equation of one value."""
        made = self(*lines, head=head, before=before).table[name].value
        assert made is not None
        return made

    @staticmethod
    def params(body: spec.Body) -> dict[str, tuple[str, ...]]:
        """Names and axes of the parameters, in order."""
        return {v.name: v.axes or () for v in body.values if v.kind == "param"}


@pytest.fixture
def checked() -> Checker:
    return Checker()


@pytest.fixture
def show() -> Callable[[x.Expr | None], str]:
    return shown


def shown(e: x.Expr | None) -> str:
    """A typed expression on one line: `add(x, h{lag t 1})`."""
    match e:
        case None:
            return "-"
        case x.Literal_(value=v):
            return repr(v).lower() if isinstance(v, bool) else repr(v)
        case x.NotGiven():
            return "none"
        case x.DimSize(dim=d):
            return d
        case x.Number(of=of, axes=axes):
            return f"#{of}" + ("" if axes else "'")
        case x.Length(of=of):
            return f"len({of})"
        case x.Read(name=n, field_=f, moves=moves):
            at = ", ".join(f"{m.kind} {m.axis} {shown(m.index)}{' past' if m.past else ''}" for m in moves)
            return n + (f"::{f}" if f else "") + (f"{{{at}}}" if at else "")
        case x.Apply(fn=fn, args=args):
            return f"{fn}({', '.join(shown(a) for a in args)})"
        case x.Expand(arg=a, axes=axes):
            return f"expand({shown(a)} to {' '.join(axes)})"
        case x.Rename(arg=a, pairs=pairs):
            return f"rename({shown(a)}, {' '.join(f'{p}>{q}' for p, q in pairs)})"
        case x.Contract(left=a, right=b, over=over):
            return f"dot({shown(a)}, {shown(b)}, {' '.join(over)})"
        case x.Reduce(fn=fn, arg=a, over=over):
            return f"{fn}({shown(a)} over {' '.join(over)})"
        case x.Along(fn=fn, arg=a, over=over, count=n, other=o):
            return f"{fn}({shown(a)} along {' '.join(over)}{f' of {o}' if o else ''}{f' count {shown(n)}' if n else ''})"
        case x.Norm(fn=fn, arg=a, over=over, gain=g, bias=b):
            return f"{fn}({shown(a)} over {' '.join(over)}, {shown(g)}, {shown(b)})"
        case x.Conv(args=args, kernels=kernels, bias=b, over=over, pad=pad):
            return f"conv({', '.join(shown(a) for a in (*args, *kernels))}, {shown(b)}, over {' '.join(over)} {pad})"
        case x.GatherAt(arg=a, places=places, border=border):
            return f"at({shown(a)}, {', '.join(f'{p} = {shown(i)}' for p, i in places)}, {border})"
        case x.Split(arg=a, axis=axis, outer=o, inner=i):
            return f"split({shown(a)}, {axis} = {o} {i})"
        case x.Merge(arg=a, axis=axis, parts=parts):
            return f"merge({shown(a)}, {axis} = {' '.join(parts)})"
        case x.Concat(args=args, over=over, axis=axis):
            return f"concat({', '.join(shown(a) for a in args)}, {' '.join(o or '.' for o in over)} > {axis})"
        case x.OneHot(arg=a, axis=axis):
            return f"onehot({shown(a)}, {axis})"
        case x.Solve(matrix=m, rhs=b, over=over, row=row, result=result):
            return f"solve({shown(m)}, {shown(b)}, {over} {row} > {result})"
        case x.Eigh(matrix=m, over=over, row=row):
            return f"eigh({shown(m)}, {over} {row})"
        case x.Draw(fn=fn, args=args):
            return f"~{fn}({', '.join(shown(a) for a in args)})"
        case x.Dropout(arg=a, rate=r):
            return f"dropout({shown(a)}, {shown(r)})"
        case x.Scan(fields=fields):
            return f"scan({', '.join(f'{n} = {shown(v)}' for n, v in fields)})"
        case x.Grad(loss=loss, wrt=wrt):
            return f"grad({shown(loss)}, {shown(wrt)})"
        case x.Invoke(callee=c, arguments=arguments, expansion=expansion):
            if expansion is not None:
                return f"{c.hole}={shown(expansion)}"
            return f"{c.hole or c.extern or c.key}({', '.join(f'{a.name} = {shown(a.value)}' for a in arguments)})"
    raise AssertionError(e)
