"""Lists more tasks on which rules are chosen. They judged the first version of the study."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from studies.bounds.images import digits
from studies.networks.task import Four, Task, parted, with_noise


def pieces() -> Four:
    """Return scikit-learn's digits as 16 pieces of 2 x 2 pixels; a tenth of the labels is wrong."""
    x, y, x_test, y_test = digits()
    random = np.random.default_rng(20)
    images = np.concatenate([x_test[:2000], x]).reshape(-1, 4, 2, 4, 2)
    x = images.transpose(0, 1, 3, 2, 4).reshape(-1, 16, 4).astype("float32") / 255
    return parted(x, with_noise(np.concatenate([y_test[:2000], y]), 10, 0.1, random))


def vision_transformer() -> keras.Model:
    """Build a transformer of two blocks, with dropout, that reads 16 pieces of an image."""
    pieces_in = keras.Input((16, 4))
    h = layers.Dense(24)(pieces_in) + layers.Embedding(16, 24)(keras.ops.arange(16))
    for _ in range(2):
        a = layers.LayerNormalization()(h)
        h = h + layers.MultiHeadAttention(3, 8, dropout=0.1)(a, a)
        b = layers.LayerNormalization()(h)
        h = h + layers.Dense(24)(layers.Dropout(0.1)(layers.Dense(48, activation="relu")(b)))
    h = layers.Flatten()(layers.LayerNormalization()(h))
    return keras.Model(pieces_in, layers.Dense(10, activation="softmax")(h))


def brackets() -> Four:
    """Return nested brackets of three kinds as characters; the target is the next character."""
    random = np.random.default_rng(21)
    draws = random.random((16_000, 41, 2))
    x = np.zeros((16_000, 41), dtype="int32")
    for row in range(len(x)):
        open_now: list[int] = []
        for place in range(41):
            up, kind = draws[row, place]
            if open_now and up > (0.6 if len(open_now) < 6 else 0.1):
                x[row, place] = 3 + open_now.pop()
            else:
                open_now.append(int(3 * kind))
                x[row, place] = open_now[-1]
    return parted(x[:, :-1], x[:, 1:])


def language_of_brackets() -> keras.Model:
    """Build a causal transformer of two blocks over 40 characters of 6."""
    tokens = keras.Input((40,), dtype="int32")
    h = layers.Embedding(6, 24)(tokens) + layers.Embedding(40, 24)(keras.ops.arange(40))
    for _ in range(2):
        a = layers.LayerNormalization()(h)
        h = h + layers.MultiHeadAttention(2, 12)(a, a, use_causal_mask=True)
        b = layers.LayerNormalization()(h)
        h = h + layers.Dense(24)(layers.Dense(48, activation="gelu")(b))
    h = layers.LayerNormalization()(h)
    return keras.Model(tokens, layers.Dense(6, activation="softmax")(h))


def waves() -> Four:
    """Return noisy waves of eight shapes, with any frequency, phase and amplitude."""
    random = np.random.default_rng(22)
    label = random.integers(0, 8, 14_000)
    turns = random.uniform(1, 4, (len(label), 1)) * np.linspace(0, 1, 64) + random.random(
        (len(label), 1)
    )
    part, sine = turns % 1, np.sin(2 * np.pi * turns)
    shapes = np.stack(
        [
            sine,
            np.sign(sine),
            2 * part - 1,
            1 - 2 * part,
            np.abs(4 * part - 2) - 1,
            sine**3,
            np.sin(4 * np.pi * turns) * sine,
            np.where(part < 0.25, 1, -1 / 3),
        ]
    )
    x = shapes[label, np.arange(len(label))] * random.uniform(0.5, 1.5, (len(label), 1))
    x = x + 0.4 * random.standard_normal(x.shape)
    return parted(x[..., None].astype("float32"), label.astype("int32"))


def residual_waves() -> keras.Model:
    """Build a residual network with batch normalization for 64 samples of a wave."""
    wave = keras.Input((64, 1))
    h = layers.BatchNormalization()(layers.Conv1D(12, 7, 2, padding="same", use_bias=False)(wave))
    h = layers.Activation("relu")(h)
    for width, stride in ((12, 1), (24, 2), (24, 1)):
        a = layers.Conv1D(width, 5, stride, padding="same", use_bias=False)(h)
        a = layers.Activation("relu")(layers.BatchNormalization()(a))
        a = layers.Conv1D(width, 5, padding="same", use_bias=False)(a)
        a = layers.BatchNormalization(gamma_initializer="zeros")(a)
        if stride > 1:
            h = layers.Conv1D(width, 1, stride, use_bias=False)(h)
        h = layers.Activation("relu")(h + a)
    return keras.Model(
        wave, layers.Dense(8, activation="softmax")(layers.GlobalAveragePooling1D()(h))
    )


def counting() -> Four:
    """Return sequences of 14 tokens; the class counts how often the first one comes again."""
    random = np.random.default_rng(23)
    x = random.integers(0, 5, (14_000, 14)).astype("int32")
    label = np.minimum((x[:, 1:] == x[:, :1]).sum(axis=1), 5)
    return parted(x, with_noise(label, 6, 0.1, random))


def recurrent_counter() -> keras.Model:
    """Build a recurrent network over embeddings of 14 tokens."""
    return keras.Sequential(
        [
            keras.Input((14,), dtype="int32"),
            layers.Embedding(5, 12),
            layers.GRU(32, unroll=True),
            layers.Dense(6, activation="softmax"),
        ]
    )


def ratings() -> Four:
    """Return ratings of 300 films by 800 persons, made of hidden tastes and noise."""
    random = np.random.default_rng(24)
    people, films = random.standard_normal((800, 4)), random.standard_normal((300, 4))
    x = np.stack([random.integers(0, 800, 42_000), random.integers(0, 300, 42_000)], axis=1)
    y = (people[x[:, 0]] * films[x[:, 1]]).sum(axis=1) / 2 + random.standard_normal(300)[x[:, 1]]
    y = y + 0.5 * random.standard_normal(len(y))
    return parted(x.astype("int32"), y[:, None].astype("float32"))


def factorization() -> keras.Model:
    """Build a product of two embeddings."""
    pair = keras.Input((2,), dtype="int32")
    person = layers.Embedding(800, 12, embeddings_initializer="normal")(pair[:, 0])
    film = layers.Embedding(300, 12, embeddings_initializer="normal")(pair[:, 1])
    bias = layers.Embedding(300, 1, embeddings_initializer="zeros")(pair[:, 1])
    return keras.Model(pair, layers.Dot(1)([person, film]) + bias)


def checkerboard() -> Four:
    """Return points of a square in three colours, in a pattern of 5 x 5 fields."""
    random = np.random.default_rng(25)
    x = random.uniform(-1, 1, (32_000, 2))
    fields = np.floor(2.5 * (x + 1)).astype(int)
    colours = random.integers(0, 3, (5, 5))
    label = with_noise(colours[fields[:, 0], fields[:, 1]], 3, 0.1, random)
    return parted(x.astype("float32"), label)


def deep_narrow() -> keras.Model:
    """Build a network of ten narrow layers with batch normalization."""
    h = points = keras.Input((2,))
    for _ in range(10):
        h = layers.Dense(14, use_bias=False)(h)
        h = layers.Activation("tanh")(layers.BatchNormalization()(h))
    return keras.Model(points, layers.Dense(3, activation="softmax")(h))


def graphs() -> Four:
    """Return graphs of ten nodes with two features each; the class counts triangles, at most 6."""
    random = np.random.default_rng(26)
    edges = np.triu(random.random((14_000, 10, 10)) < random.uniform(0.1, 0.4, (14_000, 1, 1)), 1)
    edges = (edges | edges.transpose(0, 2, 1)).astype("float32")
    triangles = np.einsum("nij,njk,nki->n", edges, edges, edges, optimize=True) / 6
    label = with_noise(np.minimum(triangles.round().astype(int), 6), 7, 0.05, random)
    x = np.concatenate([edges, edges.sum(axis=2, keepdims=True) / 3, np.ones((14_000, 10, 1))], 2)
    return parted(x.astype("float32"), label)


def graph_network() -> keras.Model:
    """Build a network that passes messages along edges three times."""
    graph = keras.Input((10, 12))
    edges, h = graph[:, :, :10], layers.Dense(32, activation="relu")(graph)
    for _ in range(3):
        messages = keras.ops.matmul(edges, layers.Dense(32)(h)) / 3
        h = layers.LayerNormalization()(h + layers.Dense(32, activation="relu")(messages))
    h = layers.GlobalAveragePooling1D()(h)
    return keras.Model(graph, layers.Dense(7, activation="softmax", dtype="float32")(h))


def scenes() -> Four:
    """Return images of 12 x 12 with bars, blocks and crosses; each of six kinds may be present."""
    random = np.random.default_rng(27)
    kinds = [np.ones((1, 5)), np.ones((5, 1)), np.ones((3, 3)), np.eye(4), np.eye(4)[::-1]]
    kinds.append(np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]))
    labels = random.random((10_000, 6)) < 0.35
    x = 0.5 * random.standard_normal((10_000, 12, 12))
    for row, own in enumerate(labels):
        for kind in np.flatnonzero(own):
            high, wide = kinds[kind].shape
            top, left = random.integers(0, 13 - high), random.integers(0, 13 - wide)
            x[row, top : top + high, left : left + wide] += kinds[kind]
    wrong = random.random(labels.shape) < 0.03
    return parted(x[..., None].astype("float32"), (labels ^ wrong).astype("float32"))


def plain_convolutions() -> keras.Model:
    """Build three convolutions and one sigmoid for each label."""
    return keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(12, 5, activation="relu"),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Conv2D(24, 3, activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(6, activation="sigmoid"),
        ]
    )


CLASSES = "sparse_categorical_crossentropy"
TASKS = [
    Task("pieces_transformer_lion", pieces, vision_transformer,
         lambda: keras.optimizers.Lion(weight_decay=0.01), CLASSES, "accuracy", 64, 6),
    Task("brackets_language_adamw", brackets, language_of_brackets,
         lambda: keras.optimizers.AdamW(weight_decay=0.1, clipnorm=1.0),
         CLASSES, "accuracy", 32, 1),
    Task("waves_residual_momentum", waves, residual_waves,
         lambda: keras.optimizers.SGD(momentum=0.9, weight_decay=5e-4),
         CLASSES, "accuracy", 64, 3),
    Task("counting_gru_adamw_clipped", counting, recurrent_counter,
         lambda: keras.optimizers.AdamW(weight_decay=0.01, global_clipnorm=0.5),
         CLASSES, "accuracy", 64, 5),
    Task("ratings_embedding_adam", ratings, factorization,
         lambda: keras.optimizers.Adam(), "mean_squared_error", "mean_absolute_error", 128, 3),
    Task("checkerboard_deep_momentum", checkerboard, deep_narrow,
         lambda: keras.optimizers.SGD(momentum=0.9), CLASSES, "accuracy", 32, 5),
    Task("graphs_messages_muon_bfloat16", graphs, graph_network,
         lambda: keras.optimizers.Muon(), CLASSES, "accuracy", 64, 3, "mixed_bfloat16"),
    Task("scenes_convolutions_adafactor", scenes, plain_convolutions,
         lambda: keras.optimizers.Adafactor(), "binary_crossentropy", "binary_accuracy", 64, 5),
]  # fmt: skip
