"""Tests that wrong arguments of networks, optimizers and loaders are refused before Keras loads."""

from __future__ import annotations

import re
import subprocess
import sys
from inspect import Parameter
from pathlib import Path
from textwrap import dedent

import pytest

from lrcycles.config import compose
from lrcycles.config.arguments import REFUSED_ARGUMENTS
from lrcycles.config.signatures import function_signature, optimizer_signature
from lrcycles.errors import InputError
from lrcycles.schedules.names import OptimizerName

ROOT = Path(__file__).parents[2]
VALUES = compose.compose(ROOT / "conf", ["experiment=smoke"])

OPTIMIZERS = [
    ("adam", {"beta1": 0.8}, r"Received: optimizer\.arguments\.beta1=0\.8\. .*arguments\.beta_1\?"),
    ("adam", {"momentum": 0.9}, r"an argument of optimizer adam: .*~optimizer\.arguments\.momen"),
    ("adam", {"beta_1": "high"}, r"beta_1 must be a number of .* Received: high\. .*beta_1=0\.9"),
    ("adam", {"beta_2": 1}, r"beta_2 must be .* below 1\. Received: 1\. Set .*beta_2=0\.999"),
    ("adam", {"epsilon": -1}, r"epsilon must be a number from 0 to .* Received: -1"),
    ("adam", {"clipnorm": -1}, r"clipnorm must be a number from .* Received: -1"),
    ("adam", {"clipnorm": 1, "clipvalue": 1}, r"only one of clipnorm, .*: clipnorm, clipvalue\."),
    ("adam", {"amsgrad": "yes"}, r"amsgrad must be true or false\. Received: yes"),
    ("adam", {"weight_decay": float("nan")}, r"weight_decay must be .* Received: nan"),
    ("sgd", {"nestrov": True}, r"Did you mean optimizer\.arguments\.nesterov\?"),
    ("sgd", {"momentum": 0}, r"momentum must be .*decimal point.* Received: 0\. Set .*=0\.0"),
    ("adamw", {"weight_decay": None}, r"weight_decay must be .* Received: null"),
    ("lion", {"beta_1": 0}, r"beta_1 must be a number above 0 .* Received: 0\. Set .*=0\.9"),
    ("adafactor", {"beta_2_decay": 0.8}, r"beta_2_decay must be .* to 0\. Received: 0\.8"),
    ("muon", {"ns_steps": 0}, r"ns_steps must be a whole number .* Received: 0"),
    ("muon", {"exclude_layers": "top"}, r"exclude_layers must be a list of texts\. Received: top"),
]
MODELS = [
    ("lrcycles.models:mlp", {"unit": [3]}, r"models:mlp: units, .* Did you .*arguments\.units\?"),
    ("lrcycles.models:mlp", {"units": 64}, r"units must be a list of .* whole .* Received: 64"),
    ("lrcycles.models:mlp", {"units": [0]}, r"whole number from 1 to .* Received: \[0\]"),
    (
        "lrcycles.models:mlp",
        {"units": [], "kernel_initializer": "random_nromal"},
        r"an initializer of Keras\. .*\.kernel_initializer=random_normal\?",
    ),
    ("lrcycles.models:mlp", {}, r"missing a required argument: 'units'\."),
    ("lrcycles.models:lenet", {"kernel_size": 0}, r"Received: 0\. Set .*kernel_size=5, for"),
    ("lrcycles.models:lennet", {}, r"no lennet\. Did you mean lrcycles\.models:lenet\?"),
    ("nets:plain", {"depht": 2}, r"an argument of nets:plain: depth\. .*\.arguments\.depth\?"),
    ("nets:plain", {"classes": 2}, r"Received: multiple values for argument 'classes'"),
    ("nets:Layers", {"depht": 2}, r"Did you mean model\.arguments\.depth\?"),
    ("nets:bare", {}, r"Received: too many positional arguments\."),
    ("nets.py:plain", {}, r'must be "module:function"'),
    ("mine/deep.py:build", {}, r"Did you mean mine\.deep:build\?"),
    ("mine.depe:build", {}, r"Did you mean mine\.deep:build\?"),
    ("broken:build", {}, r"must be Python\. Received: SyntaxError: .*broken\.py:2: def build\(:"),
    ("leaving.net:build", {}, r"SystemExit: 3 \(leaving/__init__\.py:3, in .*\)\. Correct the f"),
    ("failing.net:build", {}, r"KeyError: 'HOME_OF' \(failing/__init__\.py:2, in <module>: "),
]
FILES = {
    "nets.py": """
        import functools
        from math import sqrt as imported
        def plain(input_shape, classes, *, depth=1): ...
        def open(input_shape, classes, **kwargs): ...
        def bare(): ...
        @functools.cache
        def hidden(*_): ...
        made = plain
        class Layers:
            def __init__(self, input_shape, classes, depth=1): ...
    """,
    "mine/deep.py": "def build(input_shape, classes): ...",
    "broken.py": "\ndef build(:\n",
    "leaving/__init__.py": "\nimport sys\nsys.exit(3)\n",
    "failing/__init__.py": "import os\nos.environ['HOME_OF']\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with files of a user's, which is the current folder and can be imported from."""
    folder = tmp_path_factory.mktemp("own")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(dedent(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        yield folder


def check(section: str, **changed):
    return compose.check({**VALUES, section: {**VALUES[section], **changed}})


def refused(message: str, section: str, **changed) -> None:
    with pytest.raises(InputError) as caught:
        check(section, **changed)
    assert re.search(message, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "arguments", "message"), OPTIMIZERS)
def test_an_argument_that_an_optimizer_cannot_use_is_named(name, arguments, message):
    refused(message, "optimizer", name=name, arguments=arguments)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("function", "arguments", "message"), MODELS)
def test_an_argument_that_a_network_cannot_use_is_named(function, arguments, message):
    refused(message, "model", function=function, arguments=arguments)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("function", ["open", "hidden", "made", "imported", "plain", "Layers"])
def test_a_function_whose_arguments_cannot_be_read_is_left_to_the_later_stages(function):
    arguments = {} if function in ("plain", "Layers") else {"anything": 1}
    check("model", function=f"nets:{function}", arguments=arguments)


@pytest.mark.parametrize("name", [each.value for each in OptimizerName])
def test_every_optimizer_accepts_what_keras_accepts(name):
    signature = optimizer_signature(name)
    assert {"clipnorm", "weight_decay", "loss_scale_factor"} < set(signature.parameters)
    check("optimizer", name=name, arguments={"clipnorm": 1, "weight_decay": 0.004})
    defaults = {
        key: parameter.default
        for key, parameter in signature.parameters.items()
        if key not in REFUSED_ARGUMENTS and parameter.default not in (None, Parameter.empty)
    }
    check("optimizer", name=name, arguments=defaults)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nets:plian", r"nets\.py defines no plian\. Did you mean nets:plain\?"),
        ("nets:plain", r"must need no arguments\. .*missing a required argument: 'input_shape'"),
    ],
)
def test_the_users_loader_is_named_before_the_size_of_the_batch(source, message):
    refused(message, "data", source=source, train_images=2)


@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_path_is_not_taken_for_the_projects_folder(path):
    refused(r"data\.path must name a folder or an \.npz file\. Received: '", "data", path=path)


def test_signatures_are_read_without_an_import_of_keras():
    code = (
        "import sys; from lrcycles.config.signatures import *;"
        "assert optimizer_signature('adam') and function_signature('lrcycles.models:mlp');"
        "assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(ROOT / "src")})
    assert "units" in function_signature("lrcycles.models:mlp").parameters
