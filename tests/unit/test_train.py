"""Training: data, schedule, exact resumption, scores, samples, checkpoints; on a small model written by hand."""

from __future__ import annotations

import json
import lzma
import math
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from seqc.compiler.driver.train import checkpoint, corpus, optimiser, plot
from seqc.compiler.driver.train.evaluate import bits_per_byte, require_causal
from seqc.compiler.driver.train.loop import Moment, Trainer
from seqc.compiler.driver.train.options import TrainOptions
from seqc.compiler.driver.train.run import CHECKPOINT, Result, folder_for, stored_options, train
from seqc.compiler.driver.train.sample import readable, sample
from seqc.compiler.driver.train.schedule import factor, progress
from seqc.compiler.driver.train.text import TextTask
from seqc.compiler.driver.usage import Unusable


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small are fastest with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class State(NamedTuple):
    """h: [batch, D]; seen: [batch]"""

    h: Tensor
    seen: Tensor


class Tiny(nn.Module):
    """A leaky average of embeddings that keeps the contract of generated models; `ahead` breaks it."""

    def __init__(self, D: int = 8, W: int = 256, *, ahead: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(W, D)
        self.mix = nn.Linear(D, D)
        self.logits = nn.Linear(D, W)
        self.decay = nn.Parameter(torch.zeros(D))
        self.ahead, self.dropout = ahead, nn.Dropout(dropout)

    def init_state(self, batch: int) -> State:
        return State(self.decay.new_zeros(batch, self.decay.numel()), torch.zeros(batch, dtype=torch.int64))

    def step(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = state or self.init_state(ids.shape[0])
        keep = torch.sigmoid(self.decay)
        h = keep * state.h + (1 - keep) * self.mix(self.embedding(ids))
        return self.logits(self.dropout(torch.tanh(h))), State(h, state.seen + 1)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        outs = []
        for t in range(ids.shape[1]):
            out, state = self.step(ids[:, t], state)
            outs.append(out)
        y = torch.stack(outs, 1)
        return (y + y.flip(1) if self.ahead else y), state


WORDS = b"the quick brown fox jumps over the lazy dog\nand the cat sat on the mat while it rained in Spain\n"


def text(size: int, seed: int = 0) -> bytes:
    """Lines made of words, drawn with a seed."""
    generator = torch.Generator().manual_seed(seed)
    words = WORDS.split()
    chosen = torch.randint(0, len(words), (size // 4,), generator=generator).tolist()
    return b" ".join(words[n] for n in chosen)[:size]


def task(**given: Any) -> TextTask:
    data = corpus.split([text(30_000)])
    return TextTask(data, **{"batch": 4, "length": 16, "carry": 3, "seed": 5, **given})


def options(**given: Any) -> TrainOptions:
    return TrainOptions.make(**{"steps": 30, "batch": 4, "length": 16, "carry": 3, "rate": 0.02, "seed": 5, **given})


def made(chosen: TrainOptions) -> tuple[nn.Module, dict[str, str]]:
    torch.manual_seed(chosen.seed)
    return Tiny(dropout=0.1), {"spec": "seq 1\nmodel Tiny: …", "model": "Tiny"}


def trainer(chosen: TrainOptions) -> Trainer:
    model, texts = made(chosen)
    return Trainer(model, task(), chosen, texts)


# ---- data ----------------------------------------------------------------------------------------------------------------


def test_every_twentieth_file_is_held_out() -> None:
    texts = [bytes([65 + n % 26]) * 100 + b"%d" % n for n in range(60)]
    found = corpus.split(texts)
    assert found.held == texts[19] + texts[39] + texts[59]
    assert len(found.train) + len(found.held) == sum(map(len, texts)) and found.files == 60
    assert "20th" in found.rule


def test_more_is_held_out_where_that_is_little() -> None:
    texts = [b"x" * (10 if n % 20 == 19 else 1000) for n in range(100)]
    assert corpus.split(texts).rule == "every 10th file by sorted path"


def test_few_files_give_their_end() -> None:
    found = corpus.split([b"a" * 1000, b"b" * 1000])
    assert found.train == b"a" * 1000 + b"b" * 800 and found.held == b"b" * 200


def test_folders(tmp_path: Path) -> None:
    for name in ("b/two.txt", "a/one.txt", "a/.hidden", ".git/x", "c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode() * 300)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0" * 1000)
    (tmp_path / "link.txt").symlink_to(tmp_path / "c.txt")
    found = corpus.read([str(tmp_path)])
    assert found.train + found.held == b"".join(n.encode() * 300 for n in ("a/one.txt", "b/two.txt", "c.txt"))
    with pytest.raises(Unusable, match="no file or folder"):
        corpus.read([str(tmp_path / "none")])
    with pytest.raises(Unusable, match="too little"):
        corpus.read([str(tmp_path / "a")])


def test_the_standard_library_is_there() -> None:
    found = corpus.read(())
    assert found.files > 400 and len(found.train) > 5_000_000
    assert len(found.held) >= 1_000_000, "at least a megabyte is scored"
    assert found.digest == corpus.read(()).digest


def test_compressors_take_one_stream() -> None:
    data = text(20_000)
    found = corpus.compressors(data)
    assert found["zlib"] == 8 * len(zlib.compress(data, 9)) / len(data)
    assert lzma.decompress(lzma.compress(data)) == data and 0 < found["lzma"] < found["zlib"] * 1.5


# ---- schedule and options ------------------------------------------------------------------------------------------------


def test_schedule() -> None:
    values = [factor(n / 100, 0.1, 0.05) for n in range(101)]
    assert max(values) == values[10] == 1.0 and values[100] == pytest.approx(0.05)
    assert all(a < b for a, b in zip(values[1:10], values[2:11], strict=True))
    assert all(a > b for a, b in zip(values[10:100], values[11:], strict=True))
    assert factor(0.3, 0.0, 0.1) < 1 and factor(1.0, 1.0, 0.1) == pytest.approx(0.1)
    assert progress(5, 60.0, 10, 4.0) == 0.5 and progress(5, 180.0, 10, 4.0) == 0.75 and progress(99, 0.0, 10, None) == 1.0


def test_options() -> None:
    assert TrainOptions.make().minutes == 2.0 and TrainOptions.make(steps=5).minutes is None
    for wrong in ({"steps": 0}, {"minutes": -1.0}, {"rate": math.nan}, {"warmup": 2.0}, {"task": "chess"}, {"unknown": 1}):
        with pytest.raises(Unusable):
            TrainOptions.make(**wrong)
    stored = TrainOptions.make(steps=100, batch=8)
    assert stored.resumed({"steps": 200}).steps == 200 and stored.resumed({"minutes": 1.0}).steps is None
    assert stored.resumed({"batch": 8}) == stored
    with pytest.raises(Unusable, match="batch = 8"):
        stored.resumed({"batch": 9})


def test_what_decays() -> None:
    matrix, vector = torch.zeros(3, 3), torch.zeros(3)
    assert optimiser.decays("x.1.z.linear.h0", matrix) and optimiser.decays("w.weight", matrix, nn.Linear(3, 3))
    for name in ("x.1.z.linear.bias", "x.rmsnorm.gain", "e.embedding.ids", "S.A_log", "y.conv.x", "e.embedding.weight"):
        assert not optimiser.decays(name, matrix if "bias" not in name else vector), name
    assert not optimiser.decays("e.weight", matrix, nn.Embedding(3, 3))
    groups = optimiser.adamw(Tiny(), 0.1, 0.5).param_groups
    assert {g["weight_decay"]: len(g["params"]) for g in groups} == {0.5: 2, 0.0: 4}


# ---- the task ------------------------------------------------------------------------------------------------------------


def test_state_is_carried_and_then_dropped() -> None:
    class Spy(Tiny):
        calls: list[tuple[Tensor, State | None]] = []

        def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
            self.calls.append((ids, state))
            return super().forward(ids, state)

    model, data = Spy(), task()
    for _ in range(7):
        data.loss(model)
    assert [state is None for _, state in Spy.calls] == [True, False, False, True, False, False, True]
    joined = torch.cat([ids for ids, _ in Spy.calls[:3]], 1)
    for row in joined.tolist():
        assert bytes(row) in data.corpus.train, "three pieces in a row are one stretch of text"
    state = Spy.calls[2][1]
    assert state is not None and not state.h.requires_grad and state.seen.tolist() == [32] * 4


def test_carrying_is_reading_on() -> None:
    """The losses of three pieces are those of one piece three times as long."""
    torch.manual_seed(0)
    model = Tiny()
    short, long = task(length=16, carry=3), task(length=48, carry=1)
    parts = [short.loss(model).item() for _ in range(3)]
    assert sum(parts) / 3 == pytest.approx(long.loss(model).item(), rel=1e-5)


def test_text_must_be_long_enough() -> None:
    with pytest.raises(Unusable, match="too little"):
        task(length=28_000)


# ---- scores --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 255, 257, 1000, 4099, 9000])
@pytest.mark.parametrize("streams", [1, 7, 64])
def test_every_byte_is_scored_once(size: int, streams: int) -> None:
    """A model that knows which byte follows which, and nothing else, is scored exactly."""

    class Bigram(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.randn(256, 256, generator=torch.Generator().manual_seed(3)))

        def forward(self, ids: Tensor, state: Any = None) -> tuple[Tensor, None]:
            return self.table[ids], None

    data = torch.randint(0, 256, (size,), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    model = Bigram()
    logp = torch.log_softmax(model.table.detach().double(), -1)
    ids = data.long()
    expected = (8.0 - logp[ids[:-1], ids[1:]].sum().item() / math.log(2)) / size
    assert bits_per_byte(model, data, streams=streams, length=64, warm=128) == pytest.approx(expected, rel=1e-6)


def test_cutting_costs_little() -> None:
    torch.manual_seed(0)
    model = Tiny()
    data = torch.frombuffer(bytearray(text(8000)), dtype=torch.uint8)
    whole = bits_per_byte(model, data, streams=1, length=100, warm=0)
    assert bits_per_byte(model, data, streams=16, length=64, warm=64) == pytest.approx(whole, rel=1e-4)


def test_growing_states_are_cut() -> None:
    longest = 0

    class Cache(Tiny):
        def forward(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
            nonlocal longest
            seen = ids if state is None else torch.cat([state, ids], 1)
            longest = max(longest, seen.shape[1])
            return self.logits(self.embedding(ids)), seen

    data = torch.frombuffer(bytearray(text(9000)), dtype=torch.uint8)
    bits_per_byte(Cache(), data, streams=1, length=100, warm=0, most=500)
    assert longest == 500


def test_a_model_that_looks_ahead_is_refused() -> None:
    require_causal(Tiny())
    with pytest.raises(Unusable, match="looks ahead"):
        require_causal(Tiny(ahead=True))
    with pytest.raises(Unusable, match=r"\[1, 24, 256\]"):
        require_causal(Tiny(W=300))


# ---- the loop ------------------------------------------------------------------------------------------------------------


def test_it_learns() -> None:
    run = trainer(options(steps=150, rate=0.05))
    before = run.look()
    run.run()
    assert run.look() < before - 1.0 and run.step == 150
    assert run.history[-1].items == 150 * 64
    looks = [m.step for m in run.history if math.isfinite(m.held)]
    assert len(looks) >= 11


@pytest.mark.parametrize("stop", [1, 10, 15, 29])
def test_resuming_changes_nothing(tmp_path: Path, stop: int) -> None:
    """To the last bit: the losses, the weights, the optimiser, the place in the data."""
    whole = trainer(options())
    whole.run()
    first = trainer(options())
    first.run(until=lambda m: m.step == stop)
    first.save(tmp_path / "c.safetensors")
    torch.manual_seed(999)
    second = trainer(options(seed=6).model_copy(update={"seed": 5}))
    second.load(tmp_path / "c.safetensors")
    assert second.step == stop
    second.run()
    assert [m.loss for m in second.history] == [m.loss for m in whole.history]
    assert [m.rate for m in second.history] == [m.rate for m in whole.history]
    one, two = whole.state_dict(), second.state_dict()
    assert one.keys() == two.keys()
    for name in one:
        assert name == "history" or torch.equal(one[name], two[name]), name


def test_minutes_anneal(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    run = trainer(options(steps=None, minutes=0.5))
    run.run()
    assert run.step == 30 and run.seconds == 30.0, "two looks at the clock a step"
    assert run.history[0].rate < 0.1 * run.options.rate and run.history[-1].rate < 0.1 * run.options.rate
    assert max(m.rate for m in run.history) > 0.9 * run.options.rate


def test_a_loss_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trainer(options())
    with torch.no_grad():
        run.model.get_parameter("decay").fill_(math.nan)
    with pytest.raises(Unusable, match="loss of step 1") as caught:
        run.advance()
    assert "--rate" in caught.value.help


# ---- checkpoints ---------------------------------------------------------------------------------------------------------


def saved(tmp_path: Path) -> Path:
    run = trainer(options(steps=4))
    run.run()
    run.save(tmp_path / "c.safetensors")
    return tmp_path / "c.safetensors"


def test_checkpoint_holds_the_spec(tmp_path: Path) -> None:
    path = saved(tmp_path)
    head = checkpoint.header(path)
    assert head.texts["spec"].startswith("seq 1") and json.loads(head.texts["options"])["steps"] == 4
    assert head.tensors["model.decay"] == (torch.float32, (8,))
    assert stored_options(path) == options(steps=4)
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"], "nothing else is left"


def test_complex_tensors(tmp_path: Path) -> None:
    value = torch.randn(3, dtype=torch.complex128)
    checkpoint.write(tmp_path / "c", {"a": value, "e": torch.zeros(0, 2)}, {})
    found = checkpoint.read(tmp_path / "c", {"a": (value.dtype, (3,)), "e": (torch.float32, (0, 2))}, ())
    assert torch.equal(found["a"], value)


def edited(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrites a checkpoint's header."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + length])
    change(head)
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def run_text(**given: Any) -> str:
    return json.dumps({"seconds": 1.0, "looks": 0, "data": task().identity, **given})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        b"\xff" * 8,
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 1 << 40) + b"{}",
        struct.pack("<Q", 4) + b"[[[[",
        struct.pack("<Q", 200_000) + b"[" * 200_000,
        b"PK\x03\x04" + b"\0" * 100,
    ],
)
def test_what_is_no_checkpoint(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "c").write_bytes(data)
    with pytest.raises(Unusable):
        checkpoint.header(tmp_path / "c")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.pop("model.decay"), "no `model.decay`"),
        (lambda h: h["model.decay"].update(shape=[2, 4]), r"\[8\] in the model"),
        (lambda h: h["model.decay"].update(dtype="I32"), "int32"),
        (lambda h: h["model.decay"].update(dtype="OBJECT"), "dtype"),
        (lambda h: h["model.decay"].update(shape=[-8]), "shape"),
        (lambda h: h["model.decay"].update(shape=[True] * 8), "shape"),
        (lambda h: h.update({"model.extra": h["model.decay"]}), "does not know"),
        (lambda h: h.update({f"x{n}": 0 for n in range(100_001)}), "too much"),
        (lambda h: h["__metadata__"].update(format="other"), "not written by"),
        (lambda h: h["__metadata__"].pop("run"), "how far"),
        (lambda h: h["__metadata__"].update(run=run_text(seconds="nan")), "how far"),
        (lambda h: h["__metadata__"].update(run=run_text(data="other")), "not the one"),
        (lambda h: h["history"].update(shape=[6, 4]), "no history"),
        (lambda h: h["data.places"].update(shape=[2, 2]), "where in the text"),
        (lambda h: h["data.carried.0"].update(shape=[32]), "carried state"),
        (lambda h: h.update({"data.carried.7": h.pop("data.carried.0")}), "carried state"),
        (lambda h: h.update({"optimiser.evil.decay": h.pop("optimiser.exp_avg.decay")}), "does not have"),
    ],
)
def test_edited_checkpoints_are_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str) -> None:
    path = saved(tmp_path)
    edited(path, change)
    with pytest.raises(Unusable, match=message):
        trainer(options(steps=4)).load(path)


@pytest.mark.parametrize("size", [0, 8, 100, 5000, -1])
def test_cut_checkpoints_are_refused(tmp_path: Path, size: int) -> None:
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(Unusable):
        trainer(options(steps=4)).load(path)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        trainer(options()).save(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


# ---- sample, plot, the whole run -----------------------------------------------------------------------------------------


def test_sample_is_repeatable() -> None:
    torch.manual_seed(0)
    model = Tiny()
    one = sample(model, b"the ", 40, temperature=1.0, seed=3)
    assert len(one) == 40 and one == sample(model, b"the ", 40, temperature=1.0, seed=3)
    assert one != sample(model, b"the ", 40, temperature=1.0, seed=4)
    greedy = sample(model, b"the ", 5, temperature=0.0)
    logits, _ = model(torch.tensor([list(b"the " + greedy[:-1])]))
    assert greedy[-1] == int(logits[0, -1].argmax())
    assert len(sample(model, b"", 3)) == 3


def test_sample_is_shown_safely() -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", readable(bytes(range(256)) + "\u202e".encode()))


def test_plot_is_svg() -> None:
    held = [3.0 if n % 100 == 0 else math.nan for n in range(1001)]
    history = [Moment(n, n * 0.1, n * 2048, 0.01, 8 / (1 + n / 50) + 1, held[n]) for n in range(1, 1001)]
    given: dict[str, Any] = {"title": "a < b & c", "unit": "bits/byte", "item": "bytes"}
    picture = plot.plot(history, **given, lines={"zlib": 1.7, "lzma": 1.4}, final=1.38)
    root = ElementTree.fromstring(picture)
    words = "".join(root.itertext())
    assert "a < b & c" in words and "zlib 1.700" in words and "held out 1.380" in words and "million bytes" in words
    assert picture == plot.plot(history, **given, lines={"zlib": 1.7, "lzma": 1.4}, final=1.38)
    numbers = [float(y) for d in re.findall(r' d="([^"]*)"', picture) for y in re.findall(r",([\d.]+)", d)]
    assert min(numbers) >= 0 and max(numbers) <= plot.HEIGHT
    for few in ([], history[:1]):
        ElementTree.fromstring(plot.plot(few, **given, lines={}, final=math.nan))


def go(folder: Path, tmp_path: Path, **given: Any) -> Result:
    data = tmp_path / "text"
    data.write_bytes(text(30_000))
    resume = given.pop("resume", False)
    until = given.pop("until", None)
    return train(options(data=(str(data),), sample=50, **given), folder, made, resume=resume, until=until)


def test_a_whole_run(tmp_path: Path) -> None:
    result = go(tmp_path / "out", tmp_path)
    assert result.steps == 30 and result.scored == 3000 and result.items == 30 * 64
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "checkpoint.safetensors", "log.csv", "loss.svg", "result.json", "sample.txt",
    }  # fmt: skip
    assert set(result.others) == {"zlib", "lzma"} and result.score < 8.5
    lines = (tmp_path / "out" / "log.csv").read_text().splitlines()
    assert len(lines) == 31 and lines[0] == "step,seconds,items,rate,loss,held_out"
    assert json.loads((tmp_path / "out" / "result.json").read_text())["score"] == result.score
    assert result.sample.startswith("\ndef ")


def test_a_run_that_is_stopped_and_resumed(tmp_path: Path) -> None:
    whole = go(tmp_path / "whole", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "part", tmp_path, until=interrupt)
    stored = stored_options(tmp_path / "part" / CHECKPOINT)
    assert stored.steps == 30
    rest = go(tmp_path / "part", tmp_path, resume=True)
    assert rest.score == whole.score and rest.sample == whole.sample
    losses = [[line.split(",")[4] for line in (tmp_path / f / "log.csv").read_text().splitlines()] for f in ("whole", "part")]
    assert losses[0] == losses[1]


def interrupt(moment: Moment) -> bool:
    if moment.step == 13:
        raise KeyboardInterrupt
    return False


def test_other_text_is_not_resumed(tmp_path: Path) -> None:
    go(tmp_path / "out", tmp_path)
    data = tmp_path / "other"
    data.write_bytes(text(30_000, seed=9))
    with pytest.raises(Unusable, match="not the one"):
        train(options(data=(str(data),)), tmp_path / "out", made, resume=True)


def test_folders_are_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_for("cells/my.seq", "", False) == Path("runs/my")
    (tmp_path / "runs" / "my").mkdir(parents=True)
    (tmp_path / "runs" / "my" / CHECKPOINT).write_bytes(b"")
    assert folder_for("my", "", False) == Path("runs/my-2")
    assert folder_for("my", "", True) == Path("runs/my")
    with pytest.raises(Unusable, match="holds a run"):
        folder_for("my", "runs/my", False)
    with pytest.raises(Unusable, match="no checkpoint"):
        folder_for("my", "runs/none", True)


class Classifier(nn.Module):
    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.pixels = pixels

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, None]:
        assert x.shape[1:] == (64 // self.pixels, self.pixels)
        return self.layer(x.flatten(1)), None


@pytest.mark.parametrize("pixels", [1, 8])
def test_digits(tmp_path: Path, pixels: int) -> None:
    pytest.importorskip("sklearn")
    chosen = options(task="digits", steps=120, batch=64)
    result = train(chosen, tmp_path, lambda o: (Classifier(pixels), {"spec": ""}), pixels=pixels)
    assert result.others["accuracy"] > 0.85 and result.scored == 359 and result.unit == "bits/picture"
    assert not (tmp_path / "sample.txt").exists()


def test_digits_resume(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")

    def build(chosen: TrainOptions) -> tuple[nn.Module, dict[str, str]]:
        torch.manual_seed(chosen.seed)
        return Classifier(8), {"spec": ""}

    chosen = options(task="digits", steps=50, batch=64)
    whole = train(chosen, tmp_path / "a", build, pixels=8)
    with pytest.raises(KeyboardInterrupt):
        train(chosen, tmp_path / "b", build, pixels=8, until=interrupt)
    assert train(chosen, tmp_path / "b", build, pixels=8, resume=True).score == whole.score
