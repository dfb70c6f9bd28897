import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lrcycles.cells import Cell, Runtime, Store, chains, code_digest, link, source_files

RUNTIME = Runtime(
    backend="tensorflow",
    device="cpu",
    precision="float32",
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


def finish(store: Store, cell: Cell, *, model: bool = False, text: str = "{}") -> None:
    with store.adding(cell.key) as folder:
        (folder / "result.json").write_text(text)
        (folder / "steps.npy").touch()
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
    store = Store(tmp_path)
    with pytest.raises(RuntimeError, match="killed"), store.adding(CELL.key) as folder:
        (folder / "result.json").touch()
        raise RuntimeError("killed")
    assert not store.has(CELL, model=False)
    assert list(tmp_path.iterdir()) == []
    finish(store, CELL)
    assert store.has(CELL, model=False)


def test_a_cell_without_its_network_is_not_enough_where_the_network_is_wanted(tmp_path):
    store = Store(tmp_path)
    finish(store, CELL)
    assert not store.has(CELL, model=True)
    finish(store, CELL, model=True)
    assert store.has(CELL, model=True)


def test_finishing_a_cell_again_replaces_it_and_leaves_nothing_behind(tmp_path):
    store = Store(tmp_path)
    finish(store, CELL, text='{"a": 1}')
    finish(store, CELL, text='{"a": 2}')
    assert store.result(CELL)["a"] == 2
    assert [path.name for path in tmp_path.iterdir()] == [CELL.key]


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "toy_package"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "leaf.py").write_text("value = 1\n")
    (folder / "middle.py").write_text("def f():\n    from toy_package import leaf\n    leaf\n")
    (folder / "top.py").write_text("import json\n\nfrom toy_package.middle import f\n")
    (folder / "apart.py").write_text("import toy_package.top\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    import sys

    for name in [name for name in sys.modules if name.startswith("toy_package")]:
        del sys.modules[name]
    shutil.rmtree(folder)


@pytest.mark.usefixtures("package")
def test_source_files_follow_imports_into_functions_and_stay_in_the_package():
    found = {path.name for path in source_files(["toy_package.top"])}
    assert found >= {"top.py", "middle.py", "leaf.py"}
    assert not found & {"apart.py", "json.py", "decoder.py"}


def test_a_comment_leaves_the_code_digest_and_a_number_changes_it(package: Path):
    leaf = package / "leaf.py"
    before = code_digest([leaf])
    leaf.write_text("# why\nvalue  =  1  # because\n")
    assert code_digest([leaf]) == before
    leaf.write_text("value = 2\n")
    assert code_digest([leaf]) != before
