"""Lists the tasks that only judge. No rule was chosen on them."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from studies.networks.task import Four, Task, parted, with_noise


def leaves() -> Four:
    """Return ten numbers; a decision tree of depth 3 gives one of eight classes, noise the rest."""
    random = np.random.default_rng(30)
    x = random.standard_normal((14_000, 10))
    columns, thresholds = random.permutation(10)[:7], random.uniform(-0.5, 0.5, 7)
    node = np.zeros(len(x), dtype=int)
    for _ in range(3):
        above = x[np.arange(len(x)), columns[node]] > thresholds[node]
        node = 2 * node + 1 + above
    return parted(x.astype("float32"), with_noise(node - 7, 8, 0.1, random))


def table_transformer() -> keras.Model:
    """Build a transformer that reads every number of a table's row as a token, normalized last.

    Without dead units: Keras's Adafactor divides 0 by 0 where a kernel has no gradient.
    """
    row = keras.Input((10,))
    which = layers.Embedding(10, 16, embeddings_initializer="normal")(keras.ops.arange(10))
    each = layers.Embedding(10, 16, embeddings_initializer="glorot_normal")(keras.ops.arange(10))
    h = row[:, :, None] * each + which
    for _ in range(2):
        h = layers.LayerNormalization()(h + layers.MultiHeadAttention(2, 8, use_bias=False)(h, h))
        wide = layers.Dense(32, activation="gelu")(h)
        h = layers.LayerNormalization()(h + layers.Dense(16)(wide))
    h = layers.Dense(48, activation="gelu")(layers.Flatten()(h))
    return keras.Model(row, layers.Dense(8, activation="softmax", dtype="float32")(h))


def invented_words() -> Four:
    """Return text of 120 invented words, some of them frequent; the target is the next letter."""
    random = np.random.default_rng(31)
    lengths = random.integers(2, 7, 120)
    words = ["".join(random.choice(list("abdeikmnorst"), n)) + " " for n in lengths]
    share = 1 / np.arange(2, 62)
    drawn = random.choice(60, 100_000, p=share / share.sum())
    drawn[1::2] += 60  # the two halves of the words alternate, as nouns and verbs might
    text = "".join(words[k] for k in drawn)
    codes = np.array([" abdeikmnorst".index(letter) for letter in text], dtype="int32")
    codes = codes[: len(codes) // 33 * 33].reshape(-1, 33)[:12_000]
    return parted(codes[:, :-1], codes[:, 1:])


def causal_convolutions() -> keras.Model:
    """Build a language model of gated convolutions that look back ever farther."""
    tokens = keras.Input((32,), dtype="int32")
    h = layers.Embedding(13, 24)(tokens)
    for back in (1, 3):
        values = layers.Conv1D(24, 3, padding="causal", dilation_rate=back)(h)
        gates = layers.Conv1D(24, 3, padding="causal", dilation_rate=back, activation="sigmoid")(h)
        h = h + layers.Dense(24)(values * gates)
    h = layers.Dense(48, activation="relu")(layers.LayerNormalization()(h))
    return keras.Model(tokens, layers.Dense(13, activation="softmax")(h))


def textures() -> Four:
    """Return images of 12 x 12 with noisy stripes of any width in one of nine directions."""
    random = np.random.default_rng(32)
    label = random.integers(0, 9, 12_000)
    angle = np.pi * (label + random.uniform(-0.2, 0.2, len(label))) / 9
    speed = random.uniform(0.9, 1.8, len(label))
    down, across = np.mgrid[:12, :12]
    turns = np.cos(angle)[:, None, None] * across + np.sin(angle)[:, None, None] * down
    phase = random.uniform(0, 2 * np.pi, (len(label), 1, 1))
    x = np.sin(speed[:, None, None] * turns + phase) * random.uniform(0.5, 1.5, phase.shape)
    x = x + 0.5 * random.standard_normal(x.shape)
    return parted(x[..., None].astype("float32"), with_noise(label, 9, 0.05, random))


def bottlenecks() -> keras.Model:
    """Build a residual network of bottlenecks with batch normalization."""
    pictures = keras.Input((12, 12, 1))
    h = layers.BatchNormalization()(layers.Conv2D(24, 3, 2, use_bias=False)(pictures))
    h = layers.Activation("relu")(h)
    for _ in range(2):
        a = h
        for width, size in ((8, 1), (8, 3)):
            a = layers.Conv2D(width, size, padding="same", use_bias=False)(a)
            a = layers.Activation("relu")(layers.BatchNormalization()(a))
        a = layers.BatchNormalization()(layers.Conv2D(24, 1, use_bias=False)(a))
        h = layers.Activation("relu")(h + a)
    h = layers.GlobalAveragePooling2D()(h)
    return keras.Model(pictures, layers.Dense(9, activation="softmax")(h))


def pendulums() -> Four:
    """Return noisy angles of a pendulum at ten moments; the target is its angle a while later."""
    random = np.random.default_rng(33)
    angle, speed = random.uniform(-2, 2, 18_000), random.uniform(-1.5, 1.5, 18_000)
    force = random.uniform(0.5, 2, 18_000)
    seen = []
    for moment in range(241):
        speed = speed - 0.02 * (force * np.sin(angle) + 0.1 * speed)
        angle = angle + 0.02 * speed
        if moment % 20 == 0:
            seen.append(angle)
    x = np.stack(seen, axis=1) + 0.1 * random.standard_normal((18_000, 13))
    x = x.astype("float32")
    return parted(x[:, :10, None], x[:, -1:])


def lstm() -> keras.Model:
    """Build two recurrent layers that end in one number."""
    return keras.Sequential(
        [
            keras.Input((10, 1)),
            layers.LSTM(16, return_sequences=True, unroll=True),
            layers.LSTM(16, unroll=True),
            layers.Dense(1),
        ]
    )


def walks() -> Four:
    """Return places on a grid of 12 x 12 without borders; the target is one a short walk away."""
    random = np.random.default_rng(34)
    start = random.integers(0, 12, (62_000, 2))
    moves = np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])[random.integers(0, 4, (62_000, 3))]
    taken = np.arange(3) < random.integers(1, 4, (62_000, 1))
    end = (start + (moves * taken[:, :, None]).sum(axis=1)) % 12
    names = random.permutation(144).astype("int32")
    return parted(names[12 * start[:, 0] + start[:, 1]], names[12 * end[:, 0] + end[:, 1]])


def skip_gram() -> keras.Model:
    """Build an embedding that predicts what is near."""
    place = keras.Input((), dtype="int32")
    h = layers.Embedding(144, 24)(place)
    return keras.Model(place, layers.Dense(144, activation="softmax")(h))


def arms() -> Four:
    """Return the angles of an arm's four joints; the target is where its hand is, about."""
    random = np.random.default_rng(35)
    x = random.uniform(-1.5, 1.5, (22_000, 4))
    toward = np.cumsum(x, axis=1)
    parts = np.array([1, 0.8, 0.6, 0.4])
    y = np.stack([np.cos(toward) @ parts, np.sin(toward) @ parts], axis=1)
    y = y + 0.3 * random.standard_normal(y.shape)
    return parted(x.astype("float32"), y.astype("float32"))


def self_normalizing() -> keras.Model:
    """Build a network of twelve narrow layers that keeps its values in range by itself."""
    hidden = [
        layers.Dense(20, activation="selu", kernel_initializer="lecun_normal") for _ in range(12)
    ]
    return keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(2)])


def minorities() -> Four:
    """Return sets of 12 vectors, two or three of which come from the place of the set's class."""
    random = np.random.default_rng(36)
    label = random.integers(0, 7, 14_000)
    places = 1.6 * random.standard_normal((7, 8))
    own = random.random((len(label), 12)).argsort(axis=1) < random.integers(2, 4, (len(label), 1))
    x = random.standard_normal((len(label), 12, 8)) * np.where(own, 0.7, 1.3)[:, :, None]
    x = x + own[:, :, None] * places[label][:, None]
    return parted(x.astype("float32"), with_noise(label, 7, 0.1, random))


def attention_pooling() -> keras.Model:
    """Build a network that weighs the members of a set, adds them up, and drops units out."""
    members = keras.Input((12, 8))
    h = layers.Dropout(0.1)(layers.Dense(40, activation="relu")(members))
    gated = layers.Dense(16, activation="tanh")(h) * layers.Dense(16, activation="sigmoid")(h)
    weights = layers.Softmax(axis=1)(layers.Dense(3)(gated))
    h = layers.Flatten()(keras.ops.einsum("nmw,nmh->nwh", weights, h))
    h = layers.Dropout(0.2)(layers.Dense(40, activation="relu")(h))
    return keras.Model(members, layers.Dense(7, activation="softmax")(h))


def chords() -> Four:
    """Return noisy sounds of 64 samples; each of eight notes may be in it, loud or soft."""
    random = np.random.default_rng(37)
    played = random.random((12_000, 8)) < 0.3
    loud = played * random.uniform(0.6, 1.4, played.shape)
    pitch = 4 * 1.25 ** np.arange(8)
    phase = random.random((*played.shape, 1))
    turns = pitch[:, None] * np.linspace(0, 1, 64) + phase
    x = np.einsum("np,npt->nt", loud, np.sin(2 * np.pi * turns))
    x = x + 0.5 * random.standard_normal(x.shape)
    wrong = random.random(played.shape) < 0.03
    return parted(x[..., None].astype("float32"), (played ^ wrong).astype("float32"))


def sound_convolutions() -> keras.Model:
    """Build convolutions over time with group normalization and one sigmoid for each note."""
    h = sound = keras.Input((64, 1))
    for width, size, stride in ((24, 17, 2), (24, 5, 2), (32, 3, 1)):
        h = layers.Conv1D(width, size, stride, padding="same")(h)
        h = layers.Activation("relu")(layers.GroupNormalization(4)(h))
    h = layers.GlobalAveragePooling1D()(h)
    return keras.Model(sound, layers.Dense(8, activation="sigmoid")(h))


CLASSES = "sparse_categorical_crossentropy"
TASKS = [
    Task("leaves_transformer_adafactor_bfloat16", leaves, table_transformer,
         lambda: keras.optimizers.Adafactor(), CLASSES, "accuracy", 64, 3, "mixed_bfloat16"),
    Task("words_convolutions_lion", invented_words, causal_convolutions,
         lambda: keras.optimizers.Lion(weight_decay=0.01), CLASSES, "accuracy", 32, 2),
    Task("textures_bottlenecks_muon", textures, bottlenecks,
         lambda: keras.optimizers.Muon(), CLASSES, "accuracy", 64, 4),
    Task("pendulums_lstm_momentum_clipped", pendulums, lstm,
         lambda: keras.optimizers.SGD(momentum=0.9, clipnorm=1.0),
         "mean_squared_error", "mean_absolute_error", 64, 4),
    Task("walks_embedding_adamw", walks, skip_gram,
         lambda: keras.optimizers.AdamW(weight_decay=0.01), CLASSES, "accuracy", 128, 6),
    Task("arms_deep_adam", arms, self_normalizing,
         lambda: keras.optimizers.Adam(), "mean_squared_error", "mean_absolute_error", 32, 4),
    Task("minorities_attention_adamw_clipped", minorities, attention_pooling,
         lambda: keras.optimizers.AdamW(weight_decay=0.05, global_clipnorm=1.0),
         CLASSES, "accuracy", 64, 4),
    Task("chords_convolutions_momentum", chords, sound_convolutions,
         lambda: keras.optimizers.SGD(momentum=0.9, nesterov=True, weight_decay=1e-4),
         "binary_crossentropy", "binary_accuracy", 64, 3),
]  # fmt: skip
