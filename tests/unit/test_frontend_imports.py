"""Files and imports: where they are found, and what is refused."""

import os
from pathlib import Path

import pytest

from seqc.compiler.diagnostics.diagnostic import Rejected, Sink
from seqc.compiler.frontend.bundled import all_bundled
from seqc.compiler.frontend.imports import Project, load, load_text
from seqc.compiler.frontend.limits import Limits
from seqc.compiler.frontend.read import read_source

FN = "fn half(a) = a / 2\n"


def put(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".seq")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("seq 1\n\n" + text, "utf-8")


def loaded(path: Path | str) -> tuple[Project | None, Sink]:
    sink = Sink()
    return load(str(path), sink), sink


def codes(path: Path | str) -> list[str]:
    return [d.code for d in loaded(path)[1].found]


def test_bundled_by_stem_and_by_name() -> None:
    for name in ("gru", "cells.gru"):
        project, sink = loaded(name)
        assert project is not None and not sink.found
        assert project.main_key == "seqc.specs.cells.gru"
        assert list(project.sources) == ["seqc.specs/cells/gru.seq"]
        assert project.main.path == "seqc.specs/cells/gru.seq"


@pytest.mark.parametrize("spec", all_bundled(), ids=lambda b: b.name)
def test_every_bundled_spec_loads_with_its_imports(spec) -> None:  # type: ignore[no-untyped-def]
    project, sink = loaded(spec.name)
    assert project is not None and not sink.found
    assert set(project.imports) == set(project.files)
    for names in project.imports.values():
        for key, name in names.values():
            assert name in {d.name.text for d in project.files[key].definitions}


def test_imports_below_the_root_come_before_bundled_ones(tmp_path: Path) -> None:
    put(tmp_path, main="from lstm import half\nfrom cells.gru import GRU\nfrom parts.tool import third\n", lstm=FN)
    put(tmp_path, parts__tool="from parts.other import half\n\nfn third(a) = half(a)\n", parts__other=FN)
    project, sink = loaded(tmp_path / "main.seq")
    assert project is not None and not sink.found
    assert project.main_key == "main"
    assert project.imports["main"] == {
        "half": ("lstm", "half"),
        "GRU": ("seqc.specs.cells.gru", "GRU"),
        "third": ("parts.tool", "third"),
    }
    assert list(project.files)[-1] == "main"
    assert project.imports["parts.tool"] == {"half": ("parts.other", "half")}


def test_bundled_specs_do_not_see_the_users_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, cells__mingru=FN)
    monkeypatch.chdir(tmp_path)
    project, sink = loaded("char_lm")
    assert project is not None and not sink.found
    assert all(key.startswith("seqc.specs.") for key in project.files)


def test_text_with_and_without_a_place(tmp_path: Path) -> None:
    put(tmp_path, other=FN)
    text = "seq 1\n\nfrom other import half\n"
    sink = Sink()
    project = load_text(text, str(tmp_path / "main.seq"), sink)
    assert project is not None and not sink.found
    load_text(text, "<text>", sink)
    assert [d.code for d in sink.found] == ["SEQ0282"]


# ---- what is refused --------------------------------------------------------------------------------------------------


def test_missing_files(tmp_path: Path) -> None:
    put(tmp_path, my_lstm=FN)
    _, sink = loaded(tmp_path / "my_lsmt.seq")
    assert [d.code for d in sink.found] == ["SEQ0280"]
    assert "my_lstm.seq" in sink.found[0].notes[0].text
    _, sink = loaded("gruu")
    assert [d.code for d in sink.found] == ["SEQ0280"] and "`gru`" in sink.found[0].notes[0].text
    for name in ("no such thing", "", "\0", "a/b", "x" * 5000, "x" * 5000 + ".seq", "..", "/"):
        assert codes(name)[0] in ("SEQ0280", "SEQ0281"), name


def test_unreadable_files(tmp_path: Path) -> None:
    assert codes(f"{tmp_path}/") == ["SEQ0281"]
    os.mkfifo(tmp_path / "pipe.seq")
    assert codes(tmp_path / "pipe.seq") == ["SEQ0281"]
    assert codes("/dev/zero") == ["SEQ0281"]
    (tmp_path / "loop.seq").symlink_to(tmp_path / "loop.seq")
    assert codes(tmp_path / "loop.seq") == ["SEQ0281"]
    put(tmp_path, closed=FN)
    (tmp_path / "closed.seq").chmod(0)
    if os.geteuid():
        assert codes(tmp_path / "closed.seq") == ["SEQ0281"]


def test_file_names(tmp_path: Path) -> None:
    for name in ("my-cell.seq", "2d.seq", "é.seq", "a b.seq", "cell.txt", "x" * 65 + ".seq"):
        (tmp_path / name).write_text("seq 1\n\n" + FN)
        assert codes(tmp_path / name) == ["SEQ0287"], name


def test_large_files_are_not_read_whole(tmp_path: Path) -> None:
    (tmp_path / "large.seq").write_bytes(b"seq 1\n" + b"#" * (1 << 20))
    assert codes(tmp_path / "large.seq") == ["SEQ0146"]


def test_unknown_file_and_name(tmp_path: Path) -> None:
    put(tmp_path, main="from cells.gruu import GRU\nfrom tols import half\n", tools=FN)
    _, sink = loaded(tmp_path / "main.seq")
    assert [(d.code, d.help) for d in sink.found] == [
        ("SEQ0282", "from cells.gru import GRU"),
        ("SEQ0282", "from tools import half"),
    ]
    put(tmp_path, main="from tools import hal\n")
    _, sink = loaded(tmp_path / "main.seq")
    assert [(d.code, d.label, d.span.line, d.span.column) for d in sink.found] == [("SEQ0283", "did you mean `half`?", 3, 19)]


def test_names_are_imported_from_where_they_are_defined(tmp_path: Path) -> None:
    put(tmp_path, main="from b import half\n", b="from c import half\n", c=FN)
    _, sink = loaded(tmp_path / "main.seq")
    assert [d.code for d in sink.found] == ["SEQ0283"] and "from `c`" in sink.found[0].notes[0].text


def test_cycles_show_the_chain(tmp_path: Path) -> None:
    put(
        tmp_path,
        a="from b import f\n" + FN,
        b="from c import f\n",
        c="from a import half\n\nfn f(x) = half(x)\n",
        d="from d import e\n",
    )
    project, sink = loaded(tmp_path / "a.seq")
    assert project is not None
    found = next(d for d in sink.found if d.code == "SEQ0284")
    assert found.message.count("→") == 3 and found.span.file.endswith("c.seq")
    assert "SEQ0284" in codes(tmp_path / "d.seq")


def test_nothing_outside_of_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(tmp_path, secret=FN)
    put(root, main="from link import half\nfrom folder.secret import half\n", inside=FN)
    (root / "link.seq").symlink_to(tmp_path / "secret.seq")
    (root / "folder").symlink_to(tmp_path)
    assert codes(root / "main.seq")[0] == "SEQ0285"
    put(root, main="from folder.secret import half\n")
    assert codes(root / "main.seq") == ["SEQ0285"]
    put(root, main="from within import half\n")
    (root / "within.seq").symlink_to(root / "inside.seq")
    assert codes(root / "main.seq") == []
    for path in ("..secret", ".secret", "/etc/passwd", "a..b", '"secret"', "http://x", "a/b"):
        put(root, main=f"from {path} import half\n")
        found = codes(root / "main.seq")
        assert found and all(c.startswith("SEQ01") for c in found), (path, found)


def test_number_and_depth(tmp_path: Path) -> None:
    names = [f"n{k}" for k in range(10)]
    for here, there in zip(names, names[1:], strict=False):
        put(tmp_path, **{here: f"from {there} import half\n\n{FN.replace('half', 'own')}"})
    put(tmp_path, n9=FN)
    assert codes(tmp_path / "n0.seq")[0] == "SEQ0286"
    put(tmp_path, n8=FN)
    assert "SEQ0286" not in codes(tmp_path / "n0.seq")
    put(tmp_path, main="".join(f"from m{k} import half\n" for k in range(70)))
    for k in range(70):
        put(tmp_path, **{f"m{k}": FN})
    project, sink = loaded(tmp_path / "main.seq")
    assert project is not None and len(project.files) == Limits().files
    assert "SEQ0286" in {d.code for d in sink.found}


def test_one_name_from_two_places(tmp_path: Path) -> None:
    put(tmp_path, main=f"from b import half\nfrom c import half\n\n{FN}", b=FN, c=FN)
    assert codes(tmp_path / "main.seq") == ["SEQ0288", "SEQ0288"]


def test_broken_imports_are_told_once(tmp_path: Path) -> None:
    put(
        tmp_path,
        main="from b import x\nfrom c import y\n",
        b="from bad import z\n",
        c="from bad import z\n",
        bad="fn f(a) ** a\n",
    )
    _, sink = loaded(tmp_path / "main.seq")
    assert [d.code for d in sink.found].count("SEQ0117") == 1
    assert sink.found[0].span.file.endswith("bad.seq")


def test_line_ends_and_marks(tmp_path: Path) -> None:
    (tmp_path / "crlf.seq").write_bytes(b"\xef\xbb\xbfseq 1\r\n\r\nfn half(a) = a / 2\r\n")
    project, sink = loaded(tmp_path / "crlf.seq")
    assert project is not None and not sink.found
    source = read_source(str(tmp_path / "crlf.seq"), sink)
    assert source is not None and source.text == "seq 1\n\nfn half(a) = a / 2\n"


def test_sources_of_refused_files_can_be_shown(tmp_path: Path) -> None:
    (tmp_path / "latin.seq").write_bytes(b"seq 1\r\n\r\nfn caf\xe9(a) = a\r\n")
    put(tmp_path, main="from latin import half\n", broken="fn f(a) ** a\n")
    _, sink = loaded(tmp_path / "main.seq")
    assert [(d.code, d.span.line, d.span.column) for d in sink.found] == [("SEQ0140", 3, 7)]
    assert sink.sources[sink.found[0].span.file].line(3) == "fn caf\ufffd(a) = a"
    _, sink = loaded(tmp_path / "broken.seq")
    with pytest.raises(Rejected) as rejected:
        sink.stop()
    assert rejected.value.sources[str(tmp_path / "broken.seq")].line(3) == "fn f(a) ** a"
