"""Loads Keras once in the process that all training processes are forked from.

TensorFlow 2.21 prints lines during its import that TF_CPP_MIN_LOG_LEVEL does not silence. They are
dropped here; later lines and every error still appear. Keras's wrappers for scikit-learn and
TensorFlow Lite's converter for JAX take a quarter of the loading time, and no training uses them.
They skip scikit-learn and JAX if these seem not to be installed. With the JAX backend, Keras loads
TensorFlow to seed it and to save a network. It remembers that TensorFlow seems not to be installed.
"""

import ctypes
import os
import signal
import sys
import warnings


def end_with_parent() -> None:
    """End this process when its parent ends, also in the middle of an import; on Linux only."""
    if sys.platform == "linux":
        set_signal_of_parents_death = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_signal_of_parents_death, signal.SIGKILL)


end_with_parent()

# Ctrl-C reaches every process of a terminal, and the process of the command decides what it means.
signal.signal(signal.SIGINT, signal.SIG_IGN)

_with_jax = os.environ.get("KERAS_BACKEND") == "jax"
_unused = ["sklearn", "tensorflow" if _with_jax else "jax"]
_hidden = [name for name in _unused if name not in sys.modules]

# JAX warns of forks because of its threads, but it starts them only when it computes.
warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)

_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
# With None, an import raises ModuleNotFoundError.
sys.modules.update(dict.fromkeys(_hidden))  # type: ignore[arg-type]
try:
    import keras

    if _with_jax:
        keras.utils.set_random_seed(0)  # asks whether TensorFlow is installed
finally:
    for _name in _hidden:
        del sys.modules[_name]
    os.dup2(_stderr, 2)
    os.close(_nowhere)
    os.close(_stderr)
