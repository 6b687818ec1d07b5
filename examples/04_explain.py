"""Reading the compiler's report in Python: which recurrences have a parallel form, and what stands in the way of others."""

from __future__ import annotations

import seqc


def main(specs: tuple[str, ...] = ("gru", "mamba2", "gated_deltanet", "lif")) -> dict[str, list[str]]:
    """Prints a few lines for each spec; the legal modes of its first component."""
    found: dict[str, list[str]] = {}
    for name in specs:
        report = seqc.explain(name)
        for cell, about in report["cells"].items():
            for component in about["components"]:
                modes = component["modes"]
                legal = [mode for mode, verdict in modes.items() if verdict["legal"]]
                found.setdefault(name, legal)
                states = ", ".join(component["states"])
                kind = "/".join(filter(None, (component["family"], component["structure"])))
                print(f"{name}:{cell} {{{states}}} is {kind}; legal: {', '.join(legal)}")
                if not modes["associative"]["legal"]:
                    print(f"    no associative scan, because {modes['associative']['why']}")
    return found


if __name__ == "__main__":
    main()
