"""Sizes of axes and types of values as Python text, and bringing a value to a layout or a declared type."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from seqc.compiler.ir import expr as x
from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.core import Core
from seqc.compiler.lower.reference.layout import ADD, ATOM, BATCH, CHAIN, Code, Layout, aligned, moved, plus_one
from seqc.compiler.lower.reference.names import attribute
from seqc.compiler.lower.reference.scope import Scope


class Shapes(Core):
    """The sizes and types of one method."""

    def dim(self, name: str) -> str:
        """A local name for a dim's size."""
        if name not in self.dims:
            if not any(d.name == name for d in self.body.dims):
                return f"self.sizes[{name!r}]"
            local = self.namer.fresh(name)
            self.dims[name] = local
        return self.dims[name]

    def prologue(self) -> list[str]:
        """The lines at the top of the method: sizes of dims."""
        if not self.dims:
            return []
        names = list(self.dims)
        left = ", ".join(self.dims[n] for n in names)
        right = ", ".join(f"self.{attribute(n)}" for n in names)
        return [f"{left} = {right}"]

    def ends(self, lv: spec.Level) -> tuple[Code, Code]:
        """The first and the last number of a level."""
        self.extents = "whole"
        low, high = self.emit(lv.low, Scope(self.root.block, False)), self.emit(lv.high, Scope(self.root.block, False))
        self.extents = ""
        return low, high

    def size(self, axis: str, s: Scope) -> str:
        """Python text for the size of an axis (in a run: padding included)."""
        if axis == BATCH:
            return "run.batch"
        if axis == CHAIN or axis == self.chain:
            return "run.length"
        if axis in self.axis_sizes:
            return self.axis_sizes[axis]
        if axis in self.internal:
            return self.emit(self.internal[axis], s.root).at_least(ADD)
        if axis[:1].isupper() and "'" not in axis and "." not in axis:
            return self.dim(axis)
        if axis.endswith("'"):
            return self.size(axis[:-1], s)
        i = self.indices.get(axis)
        lv = next((lv for lv in self.body.levels if lv.name == axis), None)
        if i is None and lv is not None:
            i = spec.Index(axis, lv.low, lv.high, static=True)
        if i is not None and i.low is not None and i.high is not None:
            self.extents = "size"
            high, low = self.emit(i.high, Scope(s.root.block, False)), self.emit(i.low, Scope(s.root.block, False))
            self.extents = ""
            if isinstance(i.low, x.Literal_) and i.low.value == 1:
                return high.at_least(ADD + 1)
            return f"({high.at_least(ADD)} - {low.at_least(ADD + 1)} + 1)" if low.text != "0" else f"({plus_one(high)})"
        if i is not None and i.of:
            if i.of == self.chain:
                return self.relation_size(axis, s)
            return self.size(i.of, s)
        return f"run.size({axis!r})"

    def relation_size(self, axis: str, s: Scope) -> str:
        """Positions of a second name of the chain: those kept and the new ones."""
        from seqc.compiler.lower.reference.relations import kept

        if self.mode in ("start", "build"):
            bound = self.indices[axis].bound
            emitter = cast(Any, self)
            return str(emitter.lead_text(s)) if bound is None else self.emit(bound, s.root).text
        before = kept(cast(Any, self), axis, s)
        new = "run.length" if self.mode in ("sequence", "losses") else "1"
        return new if before == "0" else f"({before} + {new})"

    def sizes(self, layout: Layout, s: Scope) -> str:
        """The sizes of all axes, as arguments."""
        return ", ".join(self.size(a, s) for a in layout.names)

    def expanded(self, code: Code, target: Layout, s: Scope, kind: x.Type = "real") -> Code:
        """`code` with real copies of axes it lacks (views); a number becomes a tensor."""
        if code.number:
            dtype = self.dtype(kind if code.type in ("real", "int", "bool") and kind != code.type else code.type)
            shape = ", ".join(self.size(a, s) for a in target.names)
            comma = "," if len(target.names) == 1 else ""
            return Code(f"torch.full(({shape}{comma}), {code.text}, dtype={dtype}, device=run.device)", target, kind)
        if code.layout.names == target.names:
            return code
        if set(code.layout.names) == set(target.names):
            return moved(code, target)
        text = aligned(code, target, ATOM)
        have = set(code.layout.names)
        first = next(i for i, a in enumerate(target.names) if a in have) if have & set(target.names) else len(target.names)
        shape = ", ".join("-1" if a in have else self.size(a, s) for a in target.names)
        del first
        return replace(code, text=f"{text}.expand({shape})", layout=target, level=ATOM)

    def dtype(self, kind: x.Type) -> str:
        """Python text for the torch type of a kind."""
        return {"int": "torch.int64", "bool": "torch.bool", "complex": "complex_of(run.dtype)"}.get(kind, "run.dtype")

    def real(self, code: Code) -> Code:
        """A whole-number or bool tensor as the module's floating type."""
        if code.number or code.type in ("real", "complex"):
            return code
        return replace(code, text=f"{code.at_least(ATOM)}.to(run.dtype)", type="real", level=ATOM)

    def cast(self, code: Code, v: spec.Value) -> Code:
        """A value in the declared type of its name."""
        width = v.width if v.width in ("f32", "f64") else ""
        if code.number:
            return code
        if v.type == "complex" and code.type != "complex":
            return replace(code, text=f"{self.real(code).at_least(ATOM)}.to(complex_of(run.dtype))", type="complex", level=ATOM)
        if v.type == "real" and code.type in ("int", "bool"):
            code = self.real(code)
        if v.type not in ("real", "complex") or width == code.wide:
            return code
        if width:
            floor = {"f32": "torch.float32", "f64": "torch.float64"}[width]
            kind = f"wide(run.dtype, {floor})"
            if v.type == "complex":
                kind = f"complex_of({kind})"
            return replace(code, text=f"{code.at_least(ATOM)}.to({kind})", wide=width, level=ATOM)
        return replace(code, text=f"{code.at_least(ATOM)}.to({self.dtype(v.type)})", wide="", level=ATOM)

    def declared(self, v: spec.Value, s: Scope) -> Layout:
        """The full layout a name has at this place: batch, the chain where it has one entry for each step, its axes in order."""
        axes = v.axes or ()
        stepwise = (not v.once and bool(self.body.topology)) or self.chain in axes
        return Layout(v.home != "call", s.chain and stepwise and bool(self.chain), tuple(a for a in axes if a != self.chain))

    def short(self, code: Code, wish: str, s: Scope, limit: int = 60) -> Code:
        """A long operand gets a name, so that lines stay readable."""
        return code if len(code.text) <= limit or code.number else self.assign(code, wish, s)
