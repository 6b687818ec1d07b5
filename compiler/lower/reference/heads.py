"""The parts of a class that are the same for all equations: tuples of results, and the methods that users call."""

from __future__ import annotations

from seqc.compiler.ir import spec
from seqc.compiler.lower.reference.common import Common
from seqc.compiler.lower.reference.histories import Field
from seqc.compiler.lower.reference.names import keyword_argument
from seqc.compiler.lower.reference.tables import inputs_text
from seqc.compiler.lower.reference.text import wrapped


class Heads(Common):
    """Writes NamedTuples, `forward`, `step` and `loss`."""

    def tuples(self) -> list[str]:
        """The NamedTuples of the state, the outs and the losses."""
        out: list[str] = []
        if self.fields:
            out += [f"class {self.name}State(NamedTuple):", f'    """The state of {self.name} after a step, batch first."""', ""]
            for f in self.fields.values():
                out.append(f"    {f.field}: Any  # {self.field_note(f)}")
            out += ["", ""]
        if len(self.body.outs) > 1:
            out += [f"class {self.name}Outs(NamedTuple):", f'    """The outs of {self.name}."""', ""]
            out += [f"    {attribute_of(n)}: Tensor" for n in self.body.outs] + ["", ""]
        if self.losses:
            out += [f"class {self.name}Losses(NamedTuple):", f'    """The losses of {self.name}."""', ""]
            out += [f"    {attribute_of(n)}: Tensor" for n in self.losses] + ["", ""]
        return out

    def field_note(self, f: Field) -> str:
        """What a field holds."""
        shape = ", ".join(("batch", *f.axes))
        each = "".join(f", for each {self.body_level(lv)}" for lv in f.level)
        match f.kind:
            case "last":
                return f"[{shape}]{each}"
            case "past":
                return f"[{', '.join(('batch', 'reach', *f.axes))}], oldest first{each}"
            case "grow":
                return f"[{', '.join(('batch', 'so far', *f.axes))}], grows{each}"
            case "count":
                return "[batch], steps so far"
            case "scan":
                return f"[{shape}], the operator's carry{each}"
        return f"the state of {f.name}{each}"

    def body_level(self, ident: str) -> str:
        """A level's name."""
        return next(lv.name for lv in self.body.levels if lv.id == ident)

    def forward_methods(self, body: list[str]) -> None:
        """`forward`, `step` and `loss` with the spec's own inputs."""
        required = [v for v in self.inputs() if v.value is None and not {"loss", "unused"} & set(self.needed_by(v))]
        others = [v for v in self.inputs() if v not in required]
        sure = [v for v in required if self.required(v)]
        given = "{" + ", ".join(f"{v.name!r}: {keyword_argument(v.name)}" for v in self.inputs()) + "}"
        body += signature_lines("forward", required, sure, others, ("lengths", "cu_seqlens", "reset", "watch"), "Any")
        body += [f'    """{inputs_text(self)}"""', f"    return self._forward({given}, state, lengths, cu_seqlens, reset, watch)", ""]
        if self.chain:
            body += signature_lines("step", required, sure, others, ("reset", "watch"), "Any")
            row = "(" + "".join(f"{keyword_argument(v.name)}, " for v in self.inputs()).strip() + ")"
            body += [
                '    """One step: inputs without the time axis, and the state before."""',
                f"    return self._at_once({row}, state, reset, watch) or self._forward(",
                f"        {given}, state, None, None, reset, watch, step=True",
                "    )",
                "",
            ]
        if self.losses:
            all_required = [v for v in self.inputs() if v.value is None]
            rest = [v for v in self.inputs() if v.value is not None]
            body += signature_lines("loss", all_required, all_required, rest, ("lengths", "cu_seqlens", "reset"), f"{self.name}Losses")
            body += [
                f'    """The declared losses: {", ".join(self.losses)}."""',
                f"    losses: {self.name}Losses = self._loss({given}, state, lengths, cu_seqlens, reset)",
                "    return losses",
                "",
            ]

    def method(self, body: list[str], head: str, doc: str, lines: list[str], static: bool = False) -> None:
        """Adds a method."""
        if static:
            body.append("@staticmethod")
            head = head.replace("(self, ", "(").replace("(self)", "()")
        body.append(head)
        body.append(f'    """{doc}"""')
        body += ["    " + line if line else "" for line in (lines or ["pass"])]
        body.append("")


def signature_lines(
    name: str, required: list[spec.Value], sure: list[spec.Value], others: list[spec.Value], options: tuple[str, ...], result: str
) -> list[str]:
    """The head of `forward`, `step` or `loss`: inputs by position (`sure` ones must be given), optional ones by keyword."""
    first = next((n for n, v in enumerate(required) if v not in sure), len(required))
    parts = ["self"]
    parts += [f"{keyword_argument(v.name)}: {'Tensor' if n < first else 'Any = None'}" for n, v in enumerate(required)]
    parts += ["state: Any = None", "*"]
    parts += [f"{keyword_argument(v.name)}: Any = None" for v in others]
    parts += [f"{o}: Any = {'()' if o == 'watch' else 'None'}" for o in options]
    return wrapped(f"def {name}(", parts, f") -> {result}:")


def doc_line(body: spec.Body) -> str:
    """A sentence that names the body; the spec's own words stay in one quoted constant of the module."""
    return (
        f"{body.kind} {body.name}"
        + (f" over {', '.join(f.kind if not f.axes else f.axes[0] for f in body.topology)}" if body.topology else "")
        + "."
    )


def attribute_of(n: str) -> str:
    """A NamedTuple's field."""
    return keyword_argument(n) if not n.startswith("_") else n.lstrip("_")
