"""Makes configurations that nobody should run, and judges what comes of them."""

from __future__ import annotations

import copy
import math
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lrcycles.config import advice, compose, params_file, plain
from lrcycles.config.schema import ArmConfig, Config
from lrcycles.errors import InputError
from lrcycles.stages import outlook

CONF = Path(__file__).parents[2] / "conf"
MOST_SECONDS = 10


def _nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


NUMBERS = [0, -1, 1, 2, 3, 7, 0.5, -0.5, 1.0, 1e-45, 1e-9, 1e9, 1e23, 1e300]
NUMBERS += [10**4, 10**6, 10**9, 10**12, 10**18, 10**23, 2**31, 2**32, 2**63, 10**5000]
NUMBERS += [math.nan, math.inf, -math.inf]
WORDS = ["", " ", "3", "1e-3", "nan", "inf", "auto", "bounds", "null", "true", "..", ".", "../x"]
WORDS += ["/etc/passwd", "a b", " a", "$x^{$", r"\frac{", "é", "日本", "a\x00b", "a\nb", "\x1b[31m"]
WORDS += ["\ud800", "\u202e", "x" * 300, "x" * 100_000, "9" * 5000, "???", "${nokey}", "{{x}}"]
WORDS += ["builtins:exec", "os:system", "lrcycles.models:mlp", "lrcycles.models:nothing", ":", "a:"]
OTHERS = [None, True, False, [], {}, [[]], [1], [0], ["a"], ["a", "a"], [1, 1], [None], [math.nan]]
OTHERS += [{"a": 1}, {1: 2}, {"": 1}, {"a\nb": 1}, {"k" * 5000: 1}, {None: 1}, list(range(20_000))]
OTHERS += [_nested(300), _nested(20), b"bytes", {"a"}, (1, 2), object]
VALUES = [*NUMBERS, *WORDS, *OTHERS]

# Keys that conf/ leaves out, of the arm `clr` and of mappings that take any name.
MORE_KEYS = [
    *(f"arms.clr.clr.{name}" for name in ArmConfig.__annotations__),
    *(f"optimizer.arguments.{name}" for name in ("beta_1", "epsilon", "clipnorm", "weight_decay")),
    *(f"optimizer.arguments.{name}" for name in ("amsgrad", "name", "learning_rate", "nothing")),
    *(f"model.arguments.{name}" for name in ("batch_norm", "kernel_initializer", "depth")),
    *("optimizer.layer_rates.dense", "report.factors.clr", "report.reference.clr.runs"),
    *("report.reference.clr", "report.published.clr.seconds", "arms.controls.new", "arms.clr.a b"),
    *("train.epoch", "nothing", "data.sha256.train_images", "data.sha256.pixels"),
]
SECTIONS = ["data", "model", "optimizer", "range_test", "bounds", "train", "report", "arms"]
SECTIONS += ["arms.clr", "arms.clr.clr", "arms.baseline", "model.arguments", "report.published"]


# What people type by mistake, and what Hydra's grammar makes of it.
OVERRIDES = [
    "train.epochs=999999999999999999999999999999",
    "train.epochs=${train.epochs}",
    "train.epochs=${nokey}",
    "train.epochs=${oc.env:HOME}",
    "train.epochs=${oc.env:NOPE_X}",
    "train.epochs=${oc.env:NOPE_X,3}",
    "train.epochs=${foo:1}",
    "train.epochs=${",
    "train.epochs='${train.cycles}'",
    "data.name=${data}",
    "train.epochs=range(1,3)",
    "train.epochs=choice(1,2)",
    "train.epochs=interval(1,2)",
    "train.epochs=glob(*)",
    "train.epochs=sort(3,1)",
    "train.epochs=shuffle(1,2)",
    "train.epochs=int(3.0)",
    "train.epochs=str(3)",
    "train.epochs=float(3)",
    "train.epochs=bool(3)",
    "train.epochs=json_str(3)",
    "train.epochs=tag(a,1)",
    "train.epochs=extend_list(1)",
    "train.seeds=extend_list(1)",
    "train.epochs=",
    "train.epochs",
    "=3",
    "+=3",
    "~",
    "~train",
    "~train.epochs",
    "~data",
    "~experiment",
    "+train.x=1",
    "++train.epochs=3",
    "train@x=default",
    "data@_global_=digits",
    "data@:x=digits",
    "experiment@foo=smoke",
    "arms=null",
    "arms=[]",
    "arms.clr=null",
    "arms.clr=3",
    "train=3",
    "train={epochs:3}",
    "data=null",
    "data={}",
    "hydra.run.dir=x",
    "+hydra.x=1",
    "hydra/launcher=basic",
    "train.epochs=\x00",
    "train.epochs=\n",
    "train.epochs=a\tb",
    "data.name=\ud800",
    "data.name=é",
    "data.name=日本",
    "data.name='\\n'",
    'data.name="a\\tb"',
    "train..epochs=3",
    ".train.epochs=3",
    "train.epochs.=3",
    "train[epochs]=3",
    "train.seeds[0]=3",
    "train.seeds.0=3",
    "data.classes.0=x",
    "train.epochs=1e3",
    "train.epochs=1_000",
    "train.epochs=0x10",
    "train.epochs=0b1",
    "train.epochs=010",
    "train.epochs=+3",
    "train.epochs=3.",
    "train.epochs=1e400",
    "train.epochs=inf",
    "train.epochs=nan",
    "train.epochs=true",
    "train.reuse=2",
    "train.reuse=yes",
    "train.reuse=on",
    "train.reuse=null",
    "range_test.min_lr=1e-400",
    "range_test.max_lr=1e39",
    "range_test.max_lr=nan",
    "range_test.max_lr=-inf",
    "range_test.stop_factor=inf",
    "experiment=[smoke]",
    "experiment=../smoke",
    "experiment=smoke/",
    "experiment=/etc/passwd",
    "experiment=..",
    "data=../../etc",
    "experiment=",
    "experiment=null",
    "+arm@arms.clr.x=[clr,baseline]",
    "+arm@=clr",
    "+arm@arms.clr.=clr",
    "+arm@arms..x=clr",
    "+arm@arms.clr.x=",
    "+arm=clr",
    "+arm@_here_.x=clr",
    "+arm@train=clr",
    "+arm@data.classes=clr",
    "+data/foo=bar",
    "data/mnist=x",
    "optimizer.layer_rates={'*/bias':2.0}",
    "++optimizer.layer_rates={*/bias:2.0}",
    "++optimizer.layer_rates.a.b=2",
    "model.arguments={}",
    "model.arguments=null",
    "model.arguments=[1]",
    "optimizer.arguments.beta_1={a:1}",
    "--cfg=job",
    "-m",
    "a=b=c",
    "train.epochs=3 train.cycles=2",
    "train.epochs:3",
    "'train.epochs'=3",
    "train.epochs='3'",
    'train.epochs="3"',
    "train.epochs=(3)",
    "train.epochs={3}",
    "train.epochs=[3",
    "train.epochs=3]",
    "train.epochs=@x",
    "train.epochs=#",
    "train.epochs=\\",
    "train.epochs=$",
    "train.epochs=%",
    "train.epochs=!!python/object:os.system",
    "train.epochs=&a",
    "train.epochs=*a",
    "train.epochs=???",
    "???=3",
    "*=3",
    "train.*=3",
    "replay=x",
    "+replay=x",
    "report=lenet",
]
OVERRIDES += [
    "train.epochs=" + "9" * 5000,
    "data.name=" + "x" * 100_000,
    "+" + "k" * 100_000 + "=1",
    "+" + "k" * 300 + "=1",
    "train.seeds=" + "[" * 300 + "]" * 300,
    "+model.arguments.a=" + "{a:" * 300 + "1" + "}" * 300,
    "train.seeds=[" + ",".join(map(str, range(20_000))) + "]",
    "data.classes=[" + ",".join(f"class{i}" for i in range(1001)) + "]",
]


@cache
def composed(experiment: str) -> dict[str, Any]:
    """The plain values of an experiment; nobody may change them."""
    return compose.compose(CONF, [f"experiment={experiment}"])


def keys(experiment: str) -> list[str]:
    """Every key that can be set, and some that cannot."""
    return [*plain.flat(composed(experiment)), *MORE_KEYS, *SECTIONS]


Change = tuple[str, dict[str, Any]]
EXPERIMENTS = ("smoke", "tutorial")
CHANGES = st.sampled_from(EXPERIMENTS).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.dictionaries(
            st.sampled_from(keys(name)),
            st.sampled_from(VALUES)
            | st.integers(-(10**20), 10**20)
            | st.integers(0, 2000)
            | st.floats()
            | st.floats(0, 2)
            | st.text(max_size=8),
            min_size=1,
            max_size=2,
        ),
    )
)


def changed(experiment: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an experiment with some keys set to something else."""
    values = copy.deepcopy(composed(experiment))
    for key, value in changes.items():
        *parents, last = key.split(".")
        node = values
        for name in parents:
            if not isinstance(node.get(name), dict):
                node[name] = {}
            node = node[name]
        node[last] = value
    return values


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in a block that takes longer."""

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(values: Any, named: Sequence[str], tmp_path: Path) -> tuple[str, str]:
    """Check values as stage `config` does; return what came of it, and the words.

    Args:
        named: the keys of which a refusal must name one, or one above it.
    """
    try:
        with at_most(MOST_SECONDS):
            config = compose.check(values)
            advice.warnings(config)
            outlook.to_do(config)
            path = tmp_path / "params.yaml"
            path.write_text(params_file.render(values), encoding="utf-8")
            again = compose.check(params_file.read(path))
    except InputError as error:
        return refusal(str(error), named)
    except TimeoutError as error:
        return "hangs", str(error)
    except Exception as error:
        return "traceback", repr(error)[:300]
    wrong = senseless(config) or ("" if again == config else "params.yaml reads as something else")
    return ("silently used", wrong) if wrong else ("harmless", "")


def refusal(text: str, named: Sequence[str]) -> tuple[str, str]:
    """Say whether a refusal is one readable line that names a key and what was received."""
    candidates = {key.lstrip("+~").partition("@")[0] for key in named}
    above = {key.rpartition(".")[0] for key in candidates if key.count(".") > 1}
    shown = any(plain.shown(key)[:60] in text for key in candidates | above)
    readable = text.isprintable() and len(text) < 2000 and text.count("Received:") == 1
    return ("named" if shown and readable else "silently used"), text


def senseless(config: Config) -> str:
    """Say what makes no sense in an accepted configuration, judged without the schema's limits."""
    for key, value in plain.flat(plain.plain(config)).items():
        if isinstance(value, float) and not math.isfinite(value):
            return f"{key}={value}"
        if isinstance(value, int | float) and not -1 < value < 2**33:
            return f"{key}={value}"
        text = value.replace("\n", "") if isinstance(value, str) else ""  # notes may have lines
        if not text.isprintable():
            return f"{key}={value!r}"
    names = [config.experiment, config.data.name, config.model.name]
    names += [name for group in asdict(config.arms).values() for name in group]
    if wrong := [name for name in names if not re.fullmatch(r"\w[\w .+-]{0,99}", name)]:
        return f"the name {wrong[0]!r}"
    if labels := [name for name in config.data.classes if "$" in name or not 0 < len(name) < 101]:
        return f"the class {labels[0]!r}"
    updates = 0
    for group in ("baseline", "clr", "controls"):
        for arm in getattr(config.arms, group).values():
            images = config.data.train_images
            if arm.training_set.value == "all":
                images += config.data.validation_images
            seeds = config.train.seeds if arm.seeds is None else arm.seeds
            batch = arm.batch_size or config.train.batch_size
            epochs = arm.epochs or config.train.epochs
            updates += (
                epochs * (images // batch) * (seeds if isinstance(seeds, int) else len(seeds))
            )
            if images < batch:
                return f"batches of {batch} from {images} images"
    return f"{updates} updates" if not 0 < 4 * updates <= 2 * 2**30 else ""
