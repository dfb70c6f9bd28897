"""Tests that conf/ composes, and that a configuration that makes no sense is refused."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from lrcycles.config import advice, compose, params_file
from lrcycles.config.resolve import arm_length, arm_phases, arm_schedule
from lrcycles.config.schema import Config
from lrcycles.errors import InputError

CONF = Path(__file__).parents[2] / "conf"
ADVISED = "+arm@arms.controls.best=linear_decay_advice"


@cache
def composed(*overrides: str) -> Config:
    """Compose and check, once for all tests that ask for the same: they only read it."""
    return compose.check(compose.compose(CONF, list(overrides)))


def test_a_decay_may_end_at_zero_and_cycles_may_not_begin_there():
    arm = "arms.clr.clr.{}"
    ends = (arm.format("base_lr=0.0"), arm.format("max_lr=0.01"))
    decay = composed("arms.clr.clr.schedule=linear_decay", *ends)
    assert decay.arms.clr["clr"].base_lr == 0
    with pytest.raises(
        InputError, match=r"base_lr must be a rate above 0, `bounds` or `peak`\. Received: 0\.0"
    ):
        composed(*ends)
    restarts = composed("arms.clr.clr.schedule=sgdr", *ends)
    assert restarts.arms.clr["clr"].base_lr == 0
    with pytest.raises(
        InputError, match=r"max_lr must be bounds, .* or a number from 0 to .* Received: -1"
    ):
        composed("arms.clr.clr.schedule=linear_decay", ends[0], arm.format("max_lr=-1"))


def test_the_default_is_the_tutorial_with_the_documented_values():
    train = composed().train
    assert (train.epochs, train.batch_size, train.seeds, train.cycles) == (10, 200, 8, 3)
    assert (train.backend, train.device, train.precision) == ("tensorflow", "auto", "float32")


def test_the_published_arms_follow_neither_train_nor_the_split():
    controls = composed("train.epochs=3", "train.batch_size=50").arms.controls
    lengths = {name: arm_length(composed(), arm) for name, arm in controls.items()}
    assert lengths.pop("linear_decay") == (10, 200, 55000)
    assert lengths == {"published_baseline": (10, 200, 60000), "published": (10, 2000, 60000)}


@pytest.mark.parametrize(
    ("given", "phases"),
    [
        ("+arms.clr.clr.warmup_percent=5", {"warmup_steps": 138}),  # of 2,750 updates: 137.5
        ("+arms.clr.clr.warmup_percent=0", {}),
        ("+arms.clr.clr.warmup_steps=0", {}),
        ("+arms.clr.clr.warmup_steps=7", {"warmup_steps": 7}),
        (
            "+arms.clr.clr.warmup_percent=5 arms.clr.clr.schedule=warmup_stable_decay "
            "+arms.clr.clr.decay_percent=95",
            {"warmup_steps": 138, "decay_steps": 2612},
        ),
    ],
)
def test_a_share_of_the_training_becomes_updates_once(given, phases):
    config = composed(*given.split())
    arm = config.arms.clr["clr"]
    assert arm_phases(config, arm) == phases
    settings = arm_schedule(config, arm, {"base_lr": 0.001, "max_lr": 0.01})
    assert {key: settings[key] for key in settings if key.endswith("_steps")} == phases


def test_rendering_is_what_dvc_itself_writes(tmp_path):
    from dvc.utils.hydra import compose_and_dump

    for overrides in [], ["experiment=quick", "train.epochs=3"]:
        compose_and_dump(tmp_path / "p.yaml", str(CONF), None, "config", "", overrides)
        ours = params_file.render(compose.compose(CONF, overrides))
        assert (tmp_path / "p.yaml").read_text(encoding="utf-8") == ours


BAD = {
    "unknown key": (
        "+train.epohcs=3",
        r"key of train must be one of epochs, .* Received: train\.epohcs\.",
    ),
    "unknown key in an arm": (
        "+arms.clr.clr.maxlr=1",
        r"key of arms\.clr\.clr must be one of .*max_lr.* Received: .*maxlr",
    ),
    "wrong type": (
        "train.epochs=three",
        r"train\.epochs must be a whole number .*\. Received: three\.",
    ),
    "wrong choice": (
        "train.device=tpu",
        r"train\.device must be one of auto, cpu, gpu\. Received: tpu\. Did you mean",
    ),
    "misspelt choice": (
        "bounds.rule=vally",
        r"rule must be one of scaled, .* Did you mean bounds\.rule=valley\?",
    ),
    "a file where an arm belongs": (
        "+arms.clr.new=clr",
        r"new must be a mapping with the keys schedule, .* write \+arm@arms\.clr\.new=clr\.",
    ),
    "a name where an optimizer belongs": (
        "+arms.clr.clr.optimizer=sgd",
        r"optimizer must be a mapping .* Write arms\.clr\.clr\.optimizer={name:sgd}\.",
    ),
    "sizes that are words": (
        "data.image_shape=[a,b]",
        r"image_shape\[0\] must be a whole number .* Received: a\. Correct",
    ),
    "a digest without its file": (
        "data.sha256=abc",
        r"sha256 must be a mapping, .*, or null\. Received: abc\.",
    ),
    "two classes of one name": (
        "data.classes=[cat,cat]",
        r"classes must have different names\. Received: \[cat,cat\]",
    ),
    "no ramp from zero": (
        "range_test.min_lr=0",
        r"range_test\.min_lr must be a number from 1e-12 .* Received: 0\. Set .*=0\.001",
    ),
    "zero epochs": (
        "train.epochs=0",
        r"train\.epochs must be a whole number from 1 to 100,000\. Received: 0\. Set",
    ),
    "negative epochs": (
        "train.epochs=-2",
        r"train\.epochs must be a whole number from 1 to 100,000\. Received: -2",
    ),
    "zero seeds": (
        "train.seeds=0",
        r"train\.seeds must be a count from 1 to .*, or a list .*Received: 0",
    ),
    "too many seeds": ("train.seeds=12345678", r"a count from 1 to 10000, .*Received: 12345678"),
    "a seed of more than 32 bits": (
        "train.seeds=[4294967296]",
        r"at least 0 and below 2\*\*32\. Received: \[4294",
    ),
    "seed twice": ("train.seeds=[1,1]", r"list of different seeds .*Received: \[1,1\]"),
    "zero seeds, of an arm": (
        "+arms.clr.clr.seeds=0",
        r"arms\.clr\.clr\.seeds must be a count .*Received: 0\. Set arms\.clr\.clr\.seeds=8",
    ),
    "seed twice, of an arm": (
        "+arms.clr.clr.seeds=[0,0]",
        r"arms\.clr\.clr\.seeds must .* list of different seeds .*Received: \[0,0\]",
    ),
    "half a seed, of an arm": ("+arms.clr.clr.seeds=5.5", r"clr\.seeds must .* Received: 5\.5"),
    "bounds out of order": (
        "arms.controls.published.base_lr=0.1 arms.controls.published.max_lr=0.01",
        r"published\.base_lr must be below .*\.max_lr\. .*base_lr=0\.1, max_lr=0\.01",
    ),
    "no rate": (
        "arms.baseline.baseline.base_lr=fast",
        r"base_lr must be bounds, .* or a number .* Received: fast",
    ),
    "zero rate": (
        "arms.baseline.baseline.base_lr=0",
        r"rate above 0, `bounds` or `peak`\. Received: 0",
    ),
    "ramp out of order": (
        "range_test.min_lr=1 range_test.max_lr=0.1",
        r"range_test\.min_lr must be below range_test\.max_lr\. Received: min_lr=1\.0, max_lr=0\.1",
    ),
    "batch larger than the split": (
        "train.batch_size=55001",
        r"batch_size must be at most data\.train_images=55000\. Received: 55001\. Lower train\.",
    ),
    "batch larger than the split, of an arm": (
        "+arms.clr.clr.batch_size=55001",
        r"clr\.batch_size must be at most the 55000 training images .* Received: 55001",
    ),
    "test set as validation": (
        "+arms.clr.clr.training_set=all",
        r"Only an arm of group controls may .* Received: arms\.clr\.clr\.training_set=all\. Remove",
    ),
    "too short for its cycles": (
        "train.batch_size=20000 train.epochs=2",
        r"arms\.clr\.clr, with .*train\.epochs=2, .*: total_steps must .*total_steps=4, cycles=3\.",
    ),
    "unknown schedule": (
        "arms.clr.clr.schedule=zigzag",
        r"arms\.clr\.clr\.schedule must be one of constant, triangular, .*Received: zigzag\. Corr",
    ),
    "two arms of one name": (
        "+arm@arms.controls.clr=baseline",
        r"names must be unique\. Received: 'clr' in both arms\.clr and arms\.controls\. Rename one",
    ),
    "continues nothing": (
        "arms.controls.published.continues=nobody",
        r"arms\.controls\.published\.continues must name an arm of group controls\. .*: 'nobody'",
    ),
    "continues itself": (
        "+arms.controls.published_baseline.continues=published",
        r"in a circle\. Received: published_baseline -> published -> published_baseline\.",
    ),
    "continues an arm of another group": (
        "arms.controls.published.continues=baseline",
        r"continues must name an arm of group controls\. Received: 'baseline'",
    ),
    "bounds before there are any": (
        "arms.baseline.baseline.base_lr=bounds",
        r"group baseline must not ask for bounds: .* Received: arms\.baseline\.baseline",
    ),
    "cycles and step_size": (
        "+arms.controls.published.cycles=2",
        r"must have cycles or step_size, not both\. Received: cycles=2, step_size=2000",
    ),
    "a warm-up as long as the training": (
        "+arms.clr.clr.warmup_steps=2750",
        r"clr, with .*: warmup_steps must be below total_steps\. Received: warmup_steps=2750,",
    ),
    "a warm-up of all of the training": (
        "+arms.clr.clr.warmup_percent=100",
        r"warmup_percent must be advice or a number .* below 100, or null\. Received: 100",
    ),
    "too short for its cycles after a warm-up": (
        "+arms.clr.clr.warmup_percent=99.9",
        r"clr, with .*warmup_percent=99\.9, .*: total_steps .* warm-up of 2748 steps\. .*cycles=3",
    ),
    "a warm-up in steps and in percent": (
        "+arms.clr.clr.warmup_steps=5 +arms.clr.clr.warmup_percent=5",
        r"must have warmup_steps or warmup_percent, not both\. Received: warmup_steps=5, warmup_p",
    ),
    "a final fall in steps and in percent": (
        "+arm@arms.clr.new=stable_sqrt +arms.clr.new.decay_steps=5",
        r"arms\.clr\.new must have decay_steps or decay_percent, not both\. Received: decay_steps",
    ),
    "a final fall that begins in the warm-up": (
        "+arm@arms.clr.new=stable_sqrt arms.clr.new.decay_percent=96",
        r"new, with warmup_percent=5, decay_percent=96\.0, .*: decay_steps must be at most",
    ),
    "a final fall of cycles": (
        "+arms.clr.clr.decay_percent=5",
        r"schedule triangular takes no decay_percent\. Received: decay_percent=5\.0",
    ),
    "a shape of another schedule": (
        "+arm@arms.clr.new=stable_sqrt arms.clr.new.shape=cosine",
        r"arms\.clr\.new, with .*: shape must be linear or 1-sqrt\. Received: 'cosine'",
    ),
    "no shape": (
        "+arm@arms.clr.new=stable_sqrt arms.clr.new.shape=sqrt",
        r"new\.shape must be one of linear, cosine, 1-sqrt, or null\. Received: sqrt",
    ),
    "a constant with an end": (
        "+arms.baseline.baseline.max_lr=0.1",
        r"schedule constant takes no max_lr\. Received: max_lr=0\.1",
    ),
    "no such module": (
        "model.function=nowhere:build",
        r'model\.function must be "module:function"',
    ),
    "no function": (
        "model.function=lrcycles.models",
        r'must be "module:function".*lrcycles\.models',
    ),
    "workers": (
        "train.workers=many",
        r"train\.workers must be auto or a whole number from 1 to 1,024\. Received: many",
    ),
    "no time between checkpoints": (
        "train.checkpoint_every_seconds=0",
        r"train\.checkpoint_every_seconds must be a number above 0 .* Received: 0",
    ),
    "seeds of the wrong type": ("train.seeds=[a]", r"list of different seeds .*Received: \[a\]"),
    "a ramp of one step": (
        "range_test.steps=1",
        r"range_test\.steps must be a whole number from 2 to .* Received: 1",
    ),
    "a rate of the optimizer's own": (
        "+optimizer.arguments.learning_rate=0.1",
        r"not have learning_rate: the arm's schedule .* Received: learning_rate=0\.1\. Leave",
    ),
    "averaged weights": (
        "+optimizer.arguments.use_ema=true",
        r"must not have use_ema: train\.averages .* Received: use_ema=true",
    ),
    "an unknown average": (
        "train.averages=[swa]",
        r"averages\[0\] must be one of ema, last\. Received: swa",
    ),
    "an average that is no list": (
        "train.averages=ema",
        r"averages must be a list, such as \[ema\]\. Received: ema",
    ),
    "an average twice": (
        "train.averages=[ema,ema]",
        r"each average once\. Received: \[ema,ema\]\. Set train\.averages=\[ema\]",
    ),
    "a decay that forgets at once": (
        "train.ema_decay=0.1",
        r"ema_decay must be a number of at least 0\.5 and below 1\. Received: 0\.1",
    ),
    "a setting of an average that the arm lacks": (
        "+arms.clr.clr.ema_decay=0.9",
        r"clr\.ema_decay must belong to an average .* Received: ema_decay=0\.9 with averages=\[\]",
    ),
    "more checkpoints than epochs": (
        "++arms.clr.clr={averages:[last],epochs:4}",
        r"train\.last_checkpoints must be at most the epochs of .*clr,.* Received: 5 for 4",
    ),
    "accumulated gradients": (
        "+optimizer.arguments.gradient_accumulation_steps=2",
        r"not have gradient_accumulation_steps: .*not supported yet\. Received: .*=2\. Leave",
    ),
    "no such source": (
        "data.source=kerras",
        r"source must be one of auto, keras, npm, local, sklearn or module:.* Received: kerras",
    ),
    "no such source module": (
        "data.source=nowhere:images",
        r'data\.source must be "module:function"',
    ),
    "negative split seed": (
        "data.split_seed=-1",
        r"data\.split_seed must be a whole number from 0 to .* Received: -1",
    ),
    "one class": (
        "data.classes=[cat]",
        r"data\.classes must name from 2 .* Received: \[cat\]",
    ),
    "empty images": (
        "data.image_shape=[28,0]",
        r"image_shape\[1\] must be .* from 1 to .* Received: 0",
    ),
    "images without a shape": (
        "data.image_shape=[]",
        r"image_shape must be \[height,width\].* Received: \[\]",
    ),
    "published error": (
        "report.published.published.error_percent=101",
        r"published\.error_percent must be a number from 0 to 100\. Received: 101",
    ),
    "published time": (
        "report.published.published.seconds=0",
        r"report\.published\.published\.seconds must be .* above 0 .* Received: 0",
    ),
    "nothing to compare with": (
        "~arms.baseline.baseline",
        r"arms\.baseline must have at least one arm.* Received: none",
    ),
    "own data without a source": (
        "data=own data.source=null",
        r"data\.source must be a text\. Received: null\.",
    ),
    "side by side without jax": (
        "train.side_by_side=4",
        r"train\.side_by_side must be auto or 1 .* Received: 4\. Set train\.backend=jax",
    ),
    "graph on jax": (
        "train.backend=jax train.compile=graph",
        r"train\.compile must be auto or xla .* Received: graph",
    ),
    "class weights that are a word": (
        "train.class_weights=equal",
        r"none, balanced or a list of 10 items, each a number .*Received: equal",
    ),
    "too few class weights": ("train.class_weights=[1,2]", r"10 items.*Received: \[1,2\]"),
    "class weights that are all zero": (
        "experiment=smoke train.class_weights=[0,0,0,0,0,0,0,0,0,0]",
        r"10 items, each a number from 0 to .*, not all 0",
    ),
    "a layer with a negative rate": (
        "+optimizer.layer_rates.dense=-1",
        r"optimizer\.layer_rates\.dense must be a number from 0 to .* Received: -1",
    ),
    "a layer with a negative rate, of an arm": (
        "+arms.clr.clr.optimizer={name:adam,layer_rates:{dense:-1}}",
        r"arms\.clr\.clr\.optimizer\.layer_rates\.dense must be .* Received: -1",
    ),
    "one momentum": (
        "+arms.clr.clr.max_momentum=0.95",
        r"clr\.base_momentum must be below .*max_momentum\. Received: base_momentum=None",
    ),
    "momentum at a constant rate": (
        "+arms.baseline.baseline.base_momentum=0.8 +arms.baseline.baseline.max_momentum=0.9",
        r"only against a rate that rises and falls .* Received: schedule constant",
    ),
    "a baseline set against another": (
        "+arms.baseline.baseline.against=[clr]",
        r"Only an arm of clr or controls .* Received: arms\.baseline\.baseline\.against=clr\.",
    ),
    "set against what the test set watches": (
        "+arms.clr.clr.against=[published]",
        r"against must name other arms that train on the split\. Received: published\.",
    ),
    "a factorial with an arm that is missing": (
        "experiment=attribution ~arms.controls.longer",
        r"must be an arm, .* Received: report\.factors\.longer\. .*~report\.factors\.longer",
    ),
    "a peak of the second rate alone": (
        "arms.clr.clr.base_lr=peak arms.clr.clr.max_lr=0.1",
        r"clr, with schedule triangular and the word `peak`, must have max_lr: peak, and base_lr: "
        r"peak\.base_lr or a number\. Received: base_lr=peak, max_lr=0\.1\. Change",
    ),
    "the fixed part of a peak, constant": (
        "arms.baseline.baseline.base_lr=peak.base_lr",
        r"must have base_lr: peak\. Received: base_lr=peak\.base_lr, max_lr=null\.",
    ),
    "a peak above a selected bound": (
        "arms.clr.clr.max_lr=peak",
        r"must have max_lr: peak, and .* Received: base_lr=bounds, max_lr=peak\.",
    ),
    "a peak below the other rate": (
        "arms.clr.clr.base_lr=0.001 arms.clr.clr.max_lr=peak",
        r"the first of train\.peaks=\[0\.0008,.*base_lr=0\.001, max_lr=0\.0008",
    ),
    "no peaks": (
        "arms.baseline.baseline.base_lr=peak train.peaks=[]",
        r"peaks must hold at least one rate, .* Received: \[\] and arms\.baseline\.",
    ),
    "peaks out of order": (
        "train.peaks=[0.1,0.01,0.1]",
        r"must be rates in increasing order, .*\[0\.1,0\.01,0\.1\]\. Set .*=\[0\.01,0\.1\]\.",
    ),
    "a peak of zero": (
        "train.peaks=[0,0.01]",
        r"train\.peaks\[0\] must be a number from 1e-12 .* Received: 0\.",
    ),
    "tuning with seeds that are judged": (
        "arms.baseline.baseline.base_lr=peak train.seeds=[1007,3]",
        r"tuning_seeds must share no seed with .* Received: \[1007\] in both .*arms\.baseline\.",
    ),
    "no tuning seeds": ("train.tuning_seeds=0", r"tuning_seeds must be a count .* Received: 0\."),
    "a peak on the test set": (
        "arms.controls.published_baseline.base_lr=peak ~arms.controls.published",
        r"published_baseline must train on the split, .* Received: training_set=all\.",
    ),
    "a peak that continues": (
        "experiment=smoke arms.controls.continued.base_lr=peak.base_lr "
        "arms.controls.continued.max_lr=peak",
        r"neither continue an arm nor be continued\. .*continued\.continues=first\.",
    ),
    "a peak that is continued": (
        "experiment=smoke arms.controls.first.base_lr=peak",
        r"neither continue an arm nor be continued\. .*continued\.continues=first\.",
    ),
    "an advice for cycles": (
        "arms.clr.clr.max_lr=advice",
        r"arms\.clr\.clr, with the word `advice`, must have schedule: linear_decay, .* Received: "
        r"schedule=triangular\. Change it",
    ),
    "an advice for a constant rate": (
        "+arms.baseline.baseline.max_lr=advice",
        r"with the word `advice`, must have schedule: .* Received: schedule=constant\.",
    ),
    "an advice for the lower rate": (
        "arms.baseline.baseline.base_lr=advice",
        r"base_lr must be bounds, .*peak\.base_lr or a number .* Received: advice\.",
    ),
    "the warm-up of an advice without its rate": (
        "+arms.controls.linear_decay.warmup_percent=advice",
        r"linear_decay, with the word `advice`, must have .* Received: max_lr=bounds\.",
    ),
    "an advice for an arm that ends above 0": (
        f"{ADVISED} arms.controls.best.base_lr=0.001",
        r"must have schedule: linear_decay, base_lr: 0 .* Received: base_lr=0\.001\.",
    ),
    "an advice for another length": (
        f"{ADVISED} +arms.controls.best.epochs=3",
        r"no epochs, batch_size or optimizer of its own: .* Received: epochs=3\.",
    ),
    "an advice for another optimizer": (
        f"{ADVISED} +arms.controls.best.optimizer={{name:sgd}}",
        r"no epochs, batch_size or optimizer of its own: .* Received: optimizer=\{.*sgd",
    ),
    "an advice on the test set": (
        f"{ADVISED} +arms.controls.best.training_set=all",
        r"train on the split from new weights, .* Received: training_set=all\.",
    ),
    "an advice for trained weights": (
        f"{ADVISED} +arms.controls.best.continues=linear_decay",
        r"train on the split from new weights, .* Received: continues=linear_decay\.",
    ),
    "an advice from the seeds that it is judged with": (
        f"{ADVISED} train.tuning_seeds=[7]",
        r"share no seed with an arm that asks for `advice`: .* Received: \[7\] in both",
    ),
    "an advice in another precision": (
        f"{ADVISED} train.precision=mixed_bfloat16",
        r"^train\.precision must be float32, because arm best asks for `advice`\. Received: train\."
        r"precision=mixed_bfloat16\. Set train\.precision=float32\.$",
    ),
    "an advice for another schedule than the arm": (
        f"{ADVISED} advise.schedule=cosine",
        r"^advise\.schedule must be auto or linear_decay, because arm best .*=cosine\. Set",
    ),
    "an optimizer that follows no schedule": (
        "optimizer.name=schedule_free_adamw",
        r"^optimizer\.name must be .* Received: ScheduleFreeAdamW, whose .* Use adamw instead\.$",
    ),
    "an optimizer of an arm that follows no schedule": (
        "+arms.clr.clr.optimizer={name:Ftrl}",
        r"^arms\.clr\.clr\.optimizer\.name must be .* Received: Ftrl, .* Use adagrad instead\.$",
    ),
    "an optimizer in capital letters": (
        "optimizer.name=SGD",
        r"Received: SGD\. Did you mean optimizer\.name=sgd\?",
    ),
    "momentum without any": (
        "optimizer.name=adagrad +arms.clr.clr.base_momentum=0.8 +arms.clr.clr.max_momentum=0.9",
        r"only in an optimizer that has momentum\. Received: adagrad",
    ),
}


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.replace(" ", "_"))
def test_bad_input_is_one_line_that_names_rule_and_value(case):
    overrides, message = BAD[case]
    with pytest.raises(InputError) as caught:
        composed(*overrides.split())
    text = str(caught.value)
    assert re.search(message, text), text
    assert "\n" not in text


@pytest.mark.parametrize("name", ["NA", "nan", "None", "null", "bounds", "Report", "train"])
def test_an_arm_is_not_named_like_another_column_or_like_a_missing_value(name):
    with pytest.raises(
        InputError,
        match=rf"Every key of arms\.controls must .*none of .*\. Received: '?{name}'?\. Rename",
    ):
        composed(f"+arm@arms.controls.{name}=baseline")


@pytest.mark.parametrize("name", ["1st", "a-b", "_a", "a.b", "a/b", "..", "", "a b", "é"])
def test_an_arm_is_named_by_letters_digits_and_underscores(name):
    values = compose.compose(CONF)
    values["arms"]["controls"][name] = values["arms"]["baseline"]["baseline"]
    with pytest.raises(
        InputError, match=r"key of arms\.controls must have only letters, digits and _, "
    ):
        compose.check(values)


def test_one_bound_may_be_chosen_and_the_other_given():
    for key in "base_lr", "max_lr":
        arm = composed(f"arms.clr.clr.{key}=0.002").arms.clr["clr"]
        assert sorted([str(arm.base_lr), str(arm.max_lr)]) == ["0.002", "bounds"]


def test_clipping_is_left_to_the_optimizer():
    assert composed("+optimizer.arguments.clipnorm=1.0").optimizer.arguments == {"clipnorm": 1.0}


@pytest.mark.parametrize("experiment", ["tutorial", "smoke", "lenet"])
def test_a_users_own_model_takes_none_of_the_arguments_of_another_model(experiment):
    own = [f"experiment={experiment}", "model=own"]
    assert composed(*own).model.arguments == {}
    for key in "model.arguments.filters", "+model.arguments.filters":
        assert composed(*own, f"{key}=4").model.arguments == {"filters": 4}


def test_an_optimizer_takes_none_of_the_arguments_of_another_optimizer():
    changed = composed("experiment=lenet", "optimizer=adam").optimizer
    assert (changed.name, changed.arguments, changed.layer_rates) == ("adam", {}, {})


def test_what_the_data_leave_out_is_said():
    said = advice.warnings(composed("data=digits", "train.epochs=12"))
    assert said == [
        "The published runs are left out: they belong to data=mnist, model=mlp and optimizer=adam. "
        "Received: data.name=digits with 1,200 training images, model.name=mlp, "
        "optimizer.name=adam.",
        "The range test measures the accuracy on all 297 validation images: "
        "range_test.heldout_images=500 is more.",
    ]


DEEP = "a: " + "[" * 300 + "]" * 300


@pytest.mark.parametrize("text", ["train: [1, 2\n", "3\n", "a: \xff\n", DEEP])
def test_a_file_that_is_not_yaml_is_named(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"params\.yaml must be readable YAML"):
        params_file.read(path)


@pytest.mark.parametrize("text", ["- train\n- 3\n", "just words\n"])
def test_a_file_without_keys_and_values_is_refused(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"Received: \[train,3\]|Received: '?just words"):
        compose.check(params_file.read(path))
    with pytest.raises(InputError, match=r"params\.yaml must hold keys and values\. Received: "):
        compose.check(yaml.safe_load(text))


def test_a_missing_value_is_an_error():
    values = compose.compose(CONF)
    values["train"]["epochs"] = "???"
    with pytest.raises(InputError, match=r"train\.epochs"):
        compose.check(values)
    values["train"]["cycles"] = "???"
    with pytest.raises(
        InputError,
        match=r"^train\.cycles, train\.epochs must have a value\. Received: none\. "
        r"Give each a value, as in train\.cycles=VALUE\.$",
    ):
        compose.check(values)
    del values["train"]["epochs"]
    with pytest.raises(InputError, match=r"train\.epochs"):
        compose.check(values)


def test_differences_name_branches_that_one_side_lacks_once():
    used, conf = compose.compose(CONF, ["experiment=quick"]), compose.compose(CONF)
    found = params_file.differences(used, conf)
    assert found["experiment"] == {"conf": "tutorial", "used": "quick"}
    assert found["train.epochs"] == {"conf": 10, "used": 2}
    assert [key for key in found if key.startswith("arms")] == [
        *(f"arms.controls.{name}" for name in conf["arms"]["controls"]),
    ]
    assert params_file.differences(conf, conf) == {}


def test_unwise_cycles_are_warned_of_by_arm_but_not_those_of_the_replay():
    # Tutorial: 55,000 images in batches of 200 are 275 steps; 2,750 // 6 = 458 are 1.67 epochs.
    # Three cycles have six halves: 12 epochs give each two.
    advised = (
        "clr: Half a cycle is 1.67 epochs; Smith advises 2 to 10. Train for at least 12 epochs."
    )
    assert advice.warnings(composed()) == [
        f"{advised} This experiment keeps the 10 epochs of the tutorial."
    ]
    assert advice.warnings(composed("train.epochs=12")) == []
    long = advice.warnings(composed("+arms.clr.clr.step_size=3000"))
    assert long == [
        "clr: The rate never turns: step_size=3000 is longer than the run of 2,750 steps. "
        "Train for at least 12 epochs with step_size 550."
    ]
    few = advice.warnings(composed("+arms.clr.clr.cycles=2"))
    assert few == [
        "clr: The run has 2 cycles; Smith advises 3 or more. "
        "Train for at least 12 epochs with 3 cycles."
    ]


def test_the_gamma_of_exp_range_follows_from_the_run_and_is_not_warned_of():
    short = ["arms.clr.clr.schedule=exp_range", "train.epochs=2"]
    assert [each for each in advice.warnings(composed(*short)) if "amplitude" in each] == []


def test_an_arm_whose_cycles_are_gone_within_an_epoch_is_refused():
    gone = composed("arms.clr.clr.schedule=triangular2", "+arms.clr.clr.step_size=5")
    with pytest.raises(InputError, match=r"arms\.clr\.clr: triangular2 must keep 0\.1 %"):
        advice.warnings(gone)


def test_params_written_by_somebody_else_than_the_pipeline_are_noticed(tmp_path):
    import hashlib

    (tmp_path / "params.yaml").write_text("a: 1\n")
    digest = hashlib.md5(b"a: 1\n").hexdigest()
    lock = {"stages": {"config": {"outs": [{"path": "params.yaml", "md5": digest}]}}}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock))
    assert not params_file.edited_by_hand(tmp_path)
    (tmp_path / "params.yaml").write_text("a: 2\n")
    assert params_file.edited_by_hand(tmp_path)


@pytest.mark.parametrize("lock", [None, "", "stages: {data: {outs: []}}\n"])
def test_without_a_lock_of_the_stage_the_committed_params_are_nobodys_edit(tmp_path, lock):
    folder = tmp_path / "below"  # a project need not be the top of its repository
    folder.mkdir()
    params = folder / "params.yaml"
    params.write_text("a: 1\n")
    if lock is not None:
        (folder / "dvc.lock").write_text(lock)
    assert not params_file.edited_by_hand(folder)  # no git
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in ["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "start"]:
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    assert not params_file.edited_by_hand(folder)
    params.write_text("a: 2\n")
    assert params_file.edited_by_hand(folder)
    subprocess.run(["git", "rm", "-q", "--cached", params], cwd=tmp_path, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", "untracked"], cwd=tmp_path, check=True)
    assert not params_file.edited_by_hand(folder)
