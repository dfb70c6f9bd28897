"""Lists the tasks on which rules are chosen. None shares data or network with one of judging.py."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from studies.bounds.images import mnist14
from studies.networks.task import Four, Task, parted, with_noise


def rule_tokens() -> Four:
    """Return sequences of 16 tokens; the first decides whether another one counts for the class."""
    random = np.random.default_rng(10)
    x = random.integers(0, 12, (14_000, 16)).astype("int32")
    label = (x[:, 2] + (x[:, 0] > 5) * x[:, 7]) % 8
    return parted(x, with_noise(label, 8, 0.1, random))


def encoder() -> keras.Model:
    """Build a transformer of two blocks that reads 16 tokens."""
    tokens = keras.Input((16,), dtype="int32")
    h = layers.Embedding(12, 32)(tokens) + layers.Embedding(16, 32)(keras.ops.arange(16))
    for _ in range(2):
        a = layers.LayerNormalization()(h)
        h = h + layers.MultiHeadAttention(4, 8)(a, a)
        b = layers.LayerNormalization()(h)
        h = h + layers.Dense(32)(layers.Dense(64, activation="gelu")(b))
    h = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(h))
    return keras.Model(tokens, layers.Dense(8, activation="softmax")(h))


def small_images() -> Four:
    """Return MNIST at half its resolution, with a tenth of the labels random."""
    x, y, x_test, y_test = mnist14()
    random = np.random.default_rng(11)
    pictures = np.concatenate([x_test[:2000], x[:16_000]]).astype("float32")[..., None] / 255
    labels = np.concatenate([y_test[:2000], y[:16_000]])
    return parted(pictures, with_noise(labels, 10, 0.1, random))


def residual_images() -> keras.Model:
    """Build a residual network with batch normalization for images of 14 x 14."""
    pictures = keras.Input((14, 14, 1))
    h = layers.Conv2D(8, 3, padding="same", use_bias=False)(pictures)
    for width, stride in ((8, 1), (16, 2), (16, 2)):
        a = layers.Activation("relu")(layers.BatchNormalization()(h))
        b = layers.Conv2D(width, 3, stride, padding="same", use_bias=False)(a)
        b = layers.Activation("relu")(layers.BatchNormalization()(b))
        b = layers.Conv2D(width, 3, padding="same", use_bias=False)(b)
        h = b + (h if stride == 1 else layers.Conv2D(width, 1, stride, use_bias=False)(a))
    h = layers.Activation("relu")(layers.BatchNormalization()(h))
    h = layers.GlobalAveragePooling2D()(h)
    return keras.Model(pictures, layers.Dense(10, activation="softmax")(h))


def adding() -> Four:
    """Return sequences of numbers with two marks; the target is the sum of the marked numbers."""
    random = np.random.default_rng(12)
    values = random.random((14_000, 12))
    marks = np.zeros_like(values)
    rows = np.arange(len(values))
    marks[rows, random.integers(0, 6, len(values))] = 1
    marks[rows, random.integers(6, 12, len(values))] = 1
    target = (values * marks).sum(axis=1) + 0.1 * random.standard_normal(len(values))
    x = np.stack([values, marks], axis=2).astype("float32")
    return parted(x, target[:, None].astype("float32"))


def gru() -> keras.Model:
    """Build a recurrent network that ends in one number."""
    return keras.Sequential([keras.Input((12, 2)), layers.GRU(24, unroll=True), layers.Dense(1)])


def topics() -> Four:
    """Return bags of 30 words of 2,000, drawn from one of 20 topics."""
    random = np.random.default_rng(13)
    every = random.dirichlet(np.full(2000, 0.02), 20)
    label = random.integers(0, 20, 14_000)
    own = np.stack([random.choice(2000, 30, p=every[k]) for k in label])
    any_word = random.integers(0, 2000, own.shape)
    x = np.where(random.random(own.shape) < 0.75, any_word, own).astype("int32")
    return parted(x, label.astype("int32"))


def bag() -> keras.Model:
    """Build embeddings with average pooling."""
    return keras.Sequential(
        [
            keras.Input((30,), dtype="int32"),
            layers.Embedding(2000, 16),
            layers.GlobalAveragePooling1D(),
            layers.Dense(20, activation="softmax"),
        ]
    )


def friedman() -> Four:
    """Return Friedman's first regression problem (1991): five of ten inputs matter."""
    random = np.random.default_rng(14)
    x = random.random((22_000, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    y = y + 10 * x[:, 3] + 5 * x[:, 4] + random.standard_normal(len(x))
    y = (y - y.mean()) / y.std()
    return parted((2 * x - 1).astype("float32"), y[:, None].astype("float32"))


def deep_regression() -> keras.Model:
    """Build a network of eight narrow layers."""
    hidden = [layers.Dense(16, activation="relu", kernel_initializer="he_normal") for _ in range(8)]
    return keras.Sequential([keras.Input((10,)), *hidden, layers.Dense(1)])


def point_sets() -> Four:
    """Return sets of 12 points on one of six surfaces, turned and disturbed."""
    random = np.random.default_rng(15)
    label = random.integers(0, 6, 14_000)
    points = random.standard_normal((len(label), 12, 3))
    points /= np.linalg.norm(points, axis=2, keepdims=True)
    stretch = np.array(
        [[1, 1, 1], [1.6, 1, 1], [1.6, 1.6, 1], [2.2, 1, 1], [1, 1, 0.3], [2, 1, 0.3]]
    )
    turned, _ = np.linalg.qr(random.standard_normal((len(label), 3, 3)))
    x = np.einsum("npi,nij->npj", points * stretch[label][:, None], turned)
    x = x + 0.1 * random.standard_normal(x.shape)
    return parted(x.astype("float32"), label.astype("int32"))


def deep_sets() -> keras.Model:
    """Build a network for sets: equal layers for every point, a mean, and layers for the set.

    Without dead units: Keras's Adafactor divides 0 by 0 where a kernel has no gradient.
    """
    return keras.Sequential(
        [
            keras.Input((12, 3)),
            layers.Dense(48, activation="gelu"),
            layers.Dense(48, activation="gelu"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(48, activation="gelu"),
            layers.Dense(6, activation="softmax"),
        ]
    )


def many_labels() -> Four:
    """Return 12 labels that a random network gives to 24 inputs; a twentieth are wrong."""
    random = np.random.default_rng(16)
    x = random.standard_normal((14_000, 24))
    hidden = np.tanh(x @ random.standard_normal((24, 32)) / np.sqrt(6))
    scores = hidden @ random.standard_normal((32, 12))
    labels = (scores > np.quantile(scores, 0.7, axis=0)) ^ (random.random(scores.shape) < 0.05)
    return parted(x.astype("float32"), labels.astype("float32"))


def dropout_labels() -> keras.Model:
    """Build a network with dropout and one sigmoid for each label."""
    return keras.Sequential(
        [
            keras.Input((24,)),
            layers.Dense(96, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(96, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(12, activation="sigmoid"),
        ]
    )


def sums() -> Four:
    """Return lines such as 47+85=132, one after another, as characters; the target is the next."""
    random = np.random.default_rng(17)
    pairs = random.integers(0, 100, (60_000, 2))
    text = "".join(f"{a}+{b}={a + b};" for a, b in pairs)
    codes = np.array(["0123456789+=;".index(c) for c in text], dtype="int32")
    codes = codes[: len(codes) // 33 * 33].reshape(-1, 33)[:14_000]
    return parted(codes[:, :-1], codes[:, 1:])


def language_of_sums() -> keras.Model:
    """Build a causal transformer of one block over 32 characters of 13."""
    tokens = keras.Input((32,), dtype="int32")
    h = layers.Embedding(13, 48)(tokens) + layers.Embedding(32, 48)(keras.ops.arange(32))
    a = layers.LayerNormalization()(h)
    h = h + layers.MultiHeadAttention(3, 16)(a, a, use_causal_mask=True)
    b = layers.LayerNormalization()(h)
    h = h + layers.Dense(48)(layers.Dense(96, activation="gelu")(b))
    h = layers.LayerNormalization()(h)
    return keras.Model(tokens, layers.Dense(13, activation="softmax")(h))


def clean_images() -> Four:
    """Return MNIST at half its resolution."""
    x, y, x_test, y_test = mnist14()
    pictures = np.concatenate([x_test[:2000], x[:20_000]]).astype("float32")[..., None] / 255
    return parted(pictures, np.concatenate([y_test[:2000], y[:20_000]]).astype("int32"))


def dense_images() -> keras.Model:
    """Build the tutorial's kind of network: one hidden layer."""
    return keras.Sequential(
        [
            keras.Input((14, 14, 1)),
            layers.Flatten(),
            layers.Dense(196, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def convolutions() -> keras.Model:
    """Build LeNet's kind of network: convolutions, pooling, dense layers, no normalization."""
    return keras.Sequential(
        [
            keras.Input((14, 14, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


CLASSES = "sparse_categorical_crossentropy"
adam, sgd = keras.optimizers.Adam, keras.optimizers.SGD
TASKS = [
    Task("tokens_encoder_adamw", rule_tokens, encoder,
         lambda: keras.optimizers.AdamW(weight_decay=0.01), CLASSES, "accuracy", 64, 4),
    Task("images_residual_momentum", small_images, residual_images,
         lambda: sgd(momentum=0.9, nesterov=True, weight_decay=1e-4), CLASSES, "accuracy", 64, 2),
    Task("adding_gru_adam_clipped", adding, gru,
         lambda: adam(clipnorm=1.0), "mean_squared_error", "mean_absolute_error", 64, 4),
    Task("topics_embedding_adam", topics, bag, lambda: adam(), CLASSES, "accuracy", 64, 3),
    Task("friedman_deep_lion", friedman, deep_regression,
         lambda: keras.optimizers.Lion(), "mean_squared_error", "mean_absolute_error", 32, 6),
    Task("points_sets_adafactor", point_sets, deep_sets,
         lambda: keras.optimizers.Adafactor(), CLASSES, "accuracy", 64, 5),
    Task("labels_dropout_adamw", many_labels, dropout_labels,
         lambda: keras.optimizers.AdamW(weight_decay=0.05),
         "binary_crossentropy", "binary_accuracy", 32, 5),
    Task("sums_language_muon", sums, language_of_sums,
         lambda: keras.optimizers.Muon(), CLASSES, "accuracy", 64, 2),
]  # fmt: skip
# Networks and optimizers of the tutorial and of the papers, on which the first rules were made.
EARLIER = [
    Task("mnist_dense_adam", clean_images, dense_images,
         lambda: adam(), CLASSES, "accuracy", 50, 4),
    Task("mnist_dense_sgd", clean_images, dense_images, lambda: sgd(), CLASSES, "accuracy", 50, 4),
    Task("mnist_dense_adagrad", clean_images, dense_images,
         lambda: keras.optimizers.Adagrad(), CLASSES, "accuracy", 50, 4),
    Task("mnist_convolutions_momentum", clean_images, convolutions,
         lambda: sgd(momentum=0.9), CLASSES, "accuracy", 50, 3),
    Task("mnist_convolutions_rmsprop", clean_images, convolutions,
         lambda: keras.optimizers.RMSprop(), CLASSES, "accuracy", 50, 3),
]  # fmt: skip
