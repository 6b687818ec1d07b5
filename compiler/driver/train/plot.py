"""The loss plot as SVG: training loss (faint as it was, firm smoothed), looks at the held-out part, lines to compare with.

Written by hand, so that no plotting library is needed; the same history gives the same bytes. Works on light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from seqc.compiler.driver.train.loop import Moment

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 48, 52
_POINTS = 1200
_SCALES = ((1e9, "billion "), (1e6, "million "), (1e3, "thousand "), (1.0, ""))
_LINES = ("#c2410c", "#7c3aed", "#0f766e", "#a16207")


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers between `low` and `high`.

    >>> ticks(0, 10), ticks(1.9, 2.4)
    ([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], [1.9, 2.0, 2.1, 2.2, 2.3, 2.4])
    """
    if not high > low:
        return [low]
    rough = (high - low) / most
    size = 10.0 ** math.floor(math.log10(rough))
    unit = next(size * m for m in (1, 2, 5, 10) if size * m >= rough * 0.999)
    first = math.ceil(low / unit - 1e-9)
    return [round(n * unit, 12) for n in range(first, math.floor(high / unit + 1e-9) + 1)]


def smoothed(values: Sequence[float], share: float = 0.02) -> list[float]:
    """A running mean; its memory is `share` of the run, at the start a tenth of what there was so far.

    >>> smoothed([4.0, 2.0, 2.0])
    [4.0, 2.0, 2.0]
    """
    out: list[float] = []
    for number, value in enumerate(values):
        memory = max(1.0, min(len(values) * share, number / 10))
        out.append(value if not out else out[-1] + (value - out[-1]) / memory)
    return out


def plot(history: Sequence[Moment], *, title: str, unit: str, item: str, lines: Mapping[str, float], final: float) -> str:
    """An SVG of the run. `lines` are levels to compare with by name; `final` is the score on all held-out data (NaN: none)."""
    losses = [m.loss for m in history]
    soft = smoothed(losses)
    held = [(m.items, m.held) for m in history if math.isfinite(m.held)]
    most = max((m.items for m in history), default=1)
    levels = [v for v in (*lines.values(), final, *(h for _, h in held)) if math.isfinite(v)]
    settled = soft[len(soft) // 50 :] or [1.0]
    low = min([*levels, *soft]) if history else 0.0
    high = max([*levels, min(max(settled), 2.5 * min(settled) + 1)])
    pad = 0.06 * (high - low) or 1.0
    low, high = max(0.0, low - pad), high + pad

    def x(items: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * items / most

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - min(max(value, low), high)) / (high - low)

    def path(values: Sequence[float]) -> str:
        stride = max(1, len(values) // _POINTS)
        chosen = sorted({*range(0, len(values), stride), len(values) - 1}) if values else []
        return "M" + " L".join(f"{x(history[i].items):.1f},{y(values[i]):.1f}" for i in chosen) if chosen else ""

    scale, word = next((s, w) for s, w in _SCALES if most >= s or s == 1)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        "<style>text{fill:#334155}.t{font-size:16px;font-weight:600}.g{stroke:#94a3b8;stroke-opacity:.3}.s{fill:none}"
        "@media(prefers-color-scheme:dark){text{fill:#cbd5e1}.b{fill:#0f172a}}</style>",
        f'<rect class="b" width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text class="t" x="{LEFT}" y="28">{escape(title)}</text>',
    ]
    for tick in ticks(low, high):
        out.append(f'<path class="g" d="M{LEFT},{y(tick):.1f} H{WIDTH - RIGHT}"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in ticks(0, most / scale):
        out.append(f'<text x="{x(tick * scale):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{tick:g}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{word}{escape(item)}</text>')
    out.append(f'<text transform="translate(18,{middle:.0f}) rotate(-90)" text-anchor="middle">{escape(unit)}</text>')
    out.append(f'<path class="s" d="{path(losses)}" stroke="#2563eb" stroke-opacity=".22"/>')
    out.append(f'<path class="s" d="{path(soft)}" stroke="#2563eb" stroke-width="2"/>')
    for items, value in held:
        out.append(f'<circle cx="{x(items):.1f}" cy="{y(value):.1f}" r="3.5" fill="#db2777"/>')
    if math.isfinite(final):
        out.append(f'<circle cx="{x(most):.1f}" cy="{y(final):.1f}" r="5" fill="#db2777"/>')
    names = [("training", soft[-1] if soft else math.nan, "#2563eb"), ("held out", final, "#db2777")]
    for number, (name, value) in enumerate(lines.items()):
        colour = _LINES[number % len(_LINES)]
        out.append(f'<path class="s" d="M{LEFT},{y(value):.1f} H{WIDTH - RIGHT}" stroke="{colour}" stroke-dasharray="6 4"/>')
        names.append((name, value, colour))
    below = -math.inf
    for name, value, colour in sorted((n for n in names if math.isfinite(n[1])), key=lambda n: -n[1]):
        below = max(y(value) + 4, below + 16)
        label = f"{escape(name)} {value:.3f}"
        out.append(f'<text x="{WIDTH - RIGHT + 10}" y="{below:.1f}" style="fill:{colour}">{label}</text>')
    return "\n".join([*out, "</svg>", ""])
