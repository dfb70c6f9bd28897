"""Makes the study's data sets: small images that a CPU core learns in one or two seconds.

Every function returns (x_train, y_train, x_test, y_test) as uint8, the form of `data.source`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

Four = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
MNIST = Path("artifacts/data")  # written by stage `data` of the pipeline


def mnist14() -> Four:
    """Return MNIST at half its resolution: each pixel is the mean of 2 x 2 pixels."""
    x_train, y_train, x_test, y_test = mnist28()
    return _halved(x_train), y_train, _halved(x_test), y_test


def mnist28() -> Four:
    """Return MNIST at its full resolution."""
    x_train, y_train, x_test, y_test = (
        np.load(MNIST / f"{part}.npy")
        for part in ("train_images", "train_labels", "test_images", "test_labels")
    )
    return x_train, y_train, x_test, y_test


def digits() -> Four:
    """Return scikit-learn's digits, each also shifted by one pixel in four directions.

    600 digits are held out before they are shifted.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 8, 8) * (255 / 16)).round().astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(labels))
    test, train = order[:600], order[600:]
    return (*_shifted(images[train], labels[train]), *_shifted(images[test], labels[test]))


def teacher() -> Four:
    """Return ten classes assigned by a random network with one hidden layer; 10 % are wrong."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((44_000, 20))
    hidden = np.tanh(x @ rng.standard_normal((20, 40)) / np.sqrt(20))
    labels = (hidden @ rng.standard_normal((40, 10))).argmax(axis=1)
    wrong = rng.random(len(labels)) < 0.1
    labels[wrong] = rng.integers(0, 10, wrong.sum())
    return _parted(x.reshape(-1, 4, 5), labels, test=3000)


def spirals() -> Four:
    """Return points on three arms of a spiral in the plane, with noise."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 24_000)
    turn = rng.random(24_000)
    angle = 2 * np.pi * (1.25 * turn + labels / 3) + 0.15 * rng.standard_normal(24_000)
    x = np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1)
    return _parted(x[:, None], labels, test=3000)


def mixture() -> Four:
    """Return eight overlapping classes of three Gaussian clouds each, in 16 dimensions."""
    rng = np.random.default_rng(3)
    cloud = rng.integers(0, 24, 44_000)
    x = rng.standard_normal((24, 16))[cloud] + 0.6 * rng.standard_normal((44_000, 16))
    return _parted(x.reshape(-1, 4, 4), cloud % 8, test=3000)


def _halved(images: np.ndarray) -> np.ndarray:
    blocks = images.reshape(len(images), 14, 2, 14, 2)
    return np.asarray(blocks.mean(axis=(2, 4)).round().astype(np.uint8))


def _shifted(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1)])
    moves = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    shifted = [padded[:, top : top + 8, left : left + 8] for top, left in moves]
    return np.concatenate(shifted), np.tile(labels, len(moves)).astype(np.uint8)


def _parted(x: np.ndarray, labels: np.ndarray, *, test: int) -> Four:
    """Scale real numbers to pixels from 0 to 255, which cover four standard deviations."""
    pixels = np.clip(127.5 + 64 * (x - x.mean(axis=0)) / x.std(axis=0), 0, 255)
    images, classes = pixels.round().astype(np.uint8), labels.astype(np.uint8)
    return images[test:], classes[test:], images[:test], classes[:test]
