"""The figures of stage `data` show the images and the class counts they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lrcycles import files
from lrcycles.data import plots
from tests.figure_contents import legend


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (32, 32, 3)], ids=str)
def test_sample_digits_draws_ten_images_of_every_class(shape):
    images = np.random.default_rng(0).integers(0, 256, (60, *shape)).astype(np.uint8)
    labels = np.arange(60) % 5

    drawn = np.asarray(
        plots.sample_digits(images, labels, list("abcde")).axes[0].images[0].get_array()
    )

    colours = np.zeros((*shape[:2], 3))
    colours[:] = images[1].reshape(*shape[:2], -1) / 255
    top = shape[0] + 2
    assert_allclose(drawn[top : top + shape[0], : shape[1], :3], colours)
    assert drawn[top : top + shape[0], : shape[1], 3].min() == 1
    assert drawn[top - 2 : top, :, 3].max() == 0  # between two rows one sees the page


def test_pixels_as_fractions_give_the_same_picture_as_whole_numbers(tmp_path: Path):
    whole = np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.uint8)
    labels = np.arange(20) % 2
    files.write_figure(tmp_path / "whole", plots.sample_digits(whole, labels, ["a", "b"]))
    scaled = whole.astype(np.float32) / np.float32(255)
    files.write_figure(tmp_path / "scaled", plots.sample_digits(scaled, labels, ["a", "b"]))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "scaled").read_bytes()


def test_a_class_with_few_images_leaves_its_row_unfilled():
    images = np.zeros((3, 4, 4), np.uint8)
    drawn = (
        plots.sample_digits(images, np.array([0, 0, 1]), ["a", "b"]).axes[0].images[0].get_array()
    )
    assert np.asarray(drawn)[6:10, 6:, 3].max() == 0


def test_class_balance_draws_percent_of_each_split():
    figure = plots.class_balance({"train": [30, 10], "test": [1, 1]}, ["cat", "dog"])
    assert [bar.get_height() for bar in figure.axes[0].patches] == [75, 25, 50, 50]
    assert legend(figure) == ["train (40 images)", "test (2 images)"]
