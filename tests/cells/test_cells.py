"""Checks keys of cells, the cell store and the digest of the code."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrcycles.cells.cell import Cell, Runtime, chains, link
from lrcycles.cells.code import code_digest, source_files
from lrcycles.cells.result import write_result
from lrcycles.cells.store import CellStore
from lrcycles.files import replace_folder
from tests.cell_results import cell_result

RUNTIME = Runtime(
    backend="tensorflow",
    device="cpu",
    precision="float32",
    side_by_side=1,
    threads=1,
    versions={"keras": "3"},
    sources="abc",
)
CELL = Cell(
    group="clr",
    arm="clr",
    seed=0,
    schedule={"name": "constant", "base_lr": 0.1},
    optimizer={"name": "adam", "arguments": {}},
    model={"function": "lrcycles.models:mlp", "arguments": {"units": [8]}},
    classes=10,
    epochs=2,
    batch_size=8,
    training_set="split",
    compile="auto",
    data="digest",
    runtime=RUNTIME,
)


def finish(store: CellStore, cell: Cell, *, model: bool = False, **changes: Any) -> None:
    with store.adding(cell.key) as folder:
        write_result(folder / "result.json", cell_result(key=cell.key, steps=3, **changes))
        np.save(folder / "steps.npy", np.zeros(3))
        if model:
            (folder / "model.keras").touch()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"epochs": 3},
        {"batch_size": 4},
        {"schedule": {"name": "constant", "base_lr": 0.2}},
        {"data": "other"},
        {"parent": "key"},
        {"training_set": "all"},
        {"runtime": replace(RUNTIME, threads=2)},
        {"runtime": replace(RUNTIME, sources="edited")},
        {"runtime": replace(RUNTIME, versions={"keras": "4"})},
    ],
)
def test_whatever_can_change_a_number_changes_the_key(change):
    assert replace(CELL, **change).key != CELL.key


def test_a_step_is_the_same_in_every_training_of_its_setting():
    other = {"schedule": {"name": "hann"}, "epochs": 9, "parent": "p", "seed": 7, "arm": "other"}
    assert replace(CELL, **other).setting == CELL.setting
    assert replace(CELL, batch_size=4).setting != CELL.setting
    assert replace(CELL, runtime=replace(RUNTIME, threads=2)).setting != CELL.setting


def test_names_do_not_change_the_key_since_they_change_no_number():
    assert replace(CELL, arm="other", group="controls").key == CELL.key


def test_a_cell_survives_the_plain_file_it_is_sent_in():
    import json
    from dataclasses import asdict

    assert Cell.from_dict(json.loads(json.dumps(asdict(CELL)))).key == CELL.key


def test_a_continuing_cell_gets_a_new_key_when_its_grandparent_changes():
    def last_key(first: Cell) -> str:
        second = replace(first, arm="second", continues=first.arm)
        third = replace(first, arm="third", continues="second")
        return link([third, second, first])[0].key

    assert last_key(CELL) != last_key(replace(CELL, epochs=3))


def test_a_chain_holds_a_parent_before_its_children_and_seeds_alternate():
    arms = [replace(CELL, arm="b", continues="a"), replace(CELL, arm="a")]
    other = replace(CELL, arm="c", epochs=5)
    cells = link([replace(cell, seed=seed) for cell in [*arms, other] for seed in (0, 1)])
    names = [[(cell.arm, cell.seed) for cell in chain] for chain in chains(cells)]
    assert names == [[("a", 0), ("b", 0)], [("c", 0)], [("a", 1), ("b", 1)], [("c", 1)]]


def test_the_store_has_a_cell_only_once_it_is_whole(tmp_path):
    store = CellStore(tmp_path)
    with pytest.raises(RuntimeError, match="killed"), store.adding(CELL.key) as folder:
        (folder / "result.json").touch()
        raise RuntimeError("killed")
    assert not store.has(CELL, model=False)
    assert list(tmp_path.iterdir()) == []
    finish(store, CELL)
    assert store.has(CELL, model=False)


def test_a_cell_without_its_network_is_not_enough_where_the_network_is_wanted(tmp_path):
    store = CellStore(tmp_path)
    finish(store, CELL)
    assert not store.has(CELL, model=True)
    finish(store, CELL, model=True)
    assert store.has(CELL, model=True)


def test_finishing_a_cell_again_replaces_it_and_leaves_nothing_behind(tmp_path):
    store = CellStore(tmp_path)
    finish(store, CELL, test_loss=0.1)
    finish(store, CELL, test_loss=0.2)
    assert store.result(CELL).test_loss == 0.2
    assert [path.name for path in tmp_path.iterdir()] == [CELL.key]


def test_the_entry_of_another_cell_does_not_count(tmp_path):
    store = CellStore(tmp_path)
    finish(store, CELL)
    other = replace(CELL, seed=1)
    store.folder(CELL.key).rename(store.folder(other.key))
    assert not store.has(other, model=False)


def test_a_cell_that_two_arms_share_comes_back_under_the_name_asked_for(tmp_path):
    store = CellStore(tmp_path)
    finish(store, CELL)
    twin = replace(CELL, arm="twin", group="controls", uses_bounds=True)
    result = store.result(twin)
    assert (result.arm, result.group, result.uses_bounds) == ("twin", "controls", True)
    assert result.key == CELL.key


@pytest.mark.parametrize("file", ["result.json", "steps.npy"])
def test_a_damaged_cell_counts_as_absent(tmp_path, file):
    store = CellStore(tmp_path)
    finish(store, CELL)
    whole = (store.folder(CELL.key) / file).read_bytes()
    (store.folder(CELL.key) / file).write_bytes(whole[: len(whole) // 2])
    assert not store.has(CELL, model=False)


def test_a_replacement_that_fails_leaves_what_was_there(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    (old / "precious").touch()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "never_written", old)
    assert [path.name for path in tmp_path.rglob("*")] == ["old", "precious"]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """User code with every kind of import: late, relative, without __init__, a sibling."""
    folder = tmp_path / "toy_package"
    (folder / "blocks").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "leaf.py").write_text("value = 1\n")
    (folder / "middle.py").write_text("def f():\n    from toy_package import leaf\n    leaf\n")
    (folder / "blocks" / "deep.py").write_text("from ..leaf import value\n")
    (folder / "top.py").write_text(
        "import json, sibling\nfrom toy_package.middle import f\nfrom .blocks import deep\n"
    )
    (folder / "apart.py").write_text("import toy_package.top\n")
    (tmp_path / "sibling.py").touch()
    return folder


def test_source_files_follow_imports_of_every_kind_and_stay_in_the_project(package: Path):
    found = {path.name for path in source_files(["toy_package.top"], [package.parent])}
    assert found == {"__init__.py", "top.py", "middle.py", "leaf.py", "deep.py", "sibling.py"}


def test_an_installed_module_gives_its_own_file(tmp_path: Path):
    assert [path.name for path in source_files(["json.decoder"], [tmp_path])] == ["decoder.py"]


def test_comments_and_docstrings_leave_the_code_digest_and_a_number_changes_it(package: Path):
    leaf = package / "leaf.py"
    before = code_digest([leaf])
    leaf.write_text('"""A module."""\n# why\nvalue  =  1  # because\n')
    assert code_digest([leaf]) == before
    leaf.write_text('"""A module."""\nvalue = 2\n')
    assert code_digest([leaf]) != before
