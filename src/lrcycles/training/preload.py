"""What does the process load, once, that all training processes are forked from?

TensorFlow 2.21 prints lines while it is imported that TF_CPP_MIN_LOG_LEVEL does not silence; what
it prints later, and every error, still comes through. Keras's wrappers for scikit-learn and
TensorFlow Lite's converter for JAX, which no training uses, take a quarter of the time that loading
takes: they do without what they wrap where that is not there.
"""

import os
import sys
import warnings

_unused = ["sklearn"] if os.environ.get("KERAS_BACKEND") == "jax" else ["sklearn", "jax"]
_hidden = [name for name in _unused if name not in sys.modules]

# JAX warns of forks, for the sake of threads that it has only once it computes: not here.
warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)

_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
# None: importing it says that there is no such module.
sys.modules.update(dict.fromkeys(_hidden))  # type: ignore[arg-type]
try:
    import keras  # noqa: F401
finally:
    for _name in _hidden:
        del sys.modules[_name]
    os.dup2(_stderr, 2)
    os.close(_nowhere)
    os.close(_stderr)
