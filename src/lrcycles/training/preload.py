"""What does the process load, once, that all training processes are forked from?

TensorFlow 2.21 prints lines while it is imported that TF_CPP_MIN_LOG_LEVEL does not silence; what
it prints later, and every error, still comes through.
"""

import os
import warnings

# JAX warns of forks, for the sake of threads that it has only once it computes: not here.
warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)

_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
try:
    import keras  # noqa: F401
finally:
    os.dup2(_stderr, 2)
    os.close(_nowhere)
    os.close(_stderr)
