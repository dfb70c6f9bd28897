"""Reads the arguments of functions from their source, because an import would load Keras."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from inspect import Parameter, Signature
from pathlib import Path

from lrcycles.config import plain
from lrcycles.errors import InputError, reason

_KERAS = "keras"
# Keras's second names of some initializers.
_INITIALIZERS = ("normal", "uniform", "one", "zero", "IdentityInitializer", "OrthogonalInitializer")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_source(module: str) -> Path | None:
    """Find the file of a module; an empty path if it has no source, None if there is no module.

    Raises:
        Exception, SystemExit: the user's package raises it, because its __init__ is imported.
    """
    spec = importlib.util.find_spec(module)
    if spec is None:
        return None
    origin = spec.origin or ""
    return Path(origin if origin.endswith(".py") else "")


def check_function(function: str, name: str) -> None:
    """Check that "module:function" names a function, without importing its module.

    Args:
        name: the key, for the error.

    Raises:
        InputError: there is no such module, it cannot be read, or nothing in it has the name.
    """
    module, _, attribute = function.partition(":")
    received, remedy = plain.received(function), _remedy(module, attribute)
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise InputError(
            f"{name} must name a function of yours or of an installed package. "
            f"Received: {received}, of Python's own library. Correct the name."
        )
    path = None
    words = [*module.split("."), attribute]
    try:
        if all(word.isidentifier() for word in words):
            path = find_source(module)
    except (Exception, SystemExit) as error:  # the user's package may raise anything
        received, remedy = f"{received}, with {reason(error)}", "Correct the file or the name."
    if path is None:
        raise InputError(
            f'{name} must be "module:function" with a module that can be imported from the root '
            f"of the project. Received: {received}. {remedy}"
        )
    defined = _names(_parsed(path, f"{name}={function}")) if path.name else None
    if defined is not None and attribute not in defined:
        near = get_close_matches(attribute, defined, 1)
        remedy = f"Did you mean {module}:{near[0]}?" if near else "Correct the name."
        raise InputError(
            f"{name} must name a function of its module. Received: {function}, and {path.name} "
            f"defines no {attribute}. {remedy}"
        )


def _remedy(module: str, attribute: str) -> str:
    dotted = module.removesuffix(".py").replace("/", ".")
    folder = Path(*dotted.split(".")[:-1])
    names = [path.stem for path in folder.glob("*.py")] if "." in dotted else []
    near = get_close_matches(dotted.rpartition(".")[2], names, 1)
    if not near or not attribute:
        return "Correct the name of the module or function."
    return f"Did you mean {'.'.join([*folder.parts, near[0]])}:{attribute}?"


def function_signature(function: str) -> Signature | None:
    """Return the signature of a checked "module:function"; None where the source hides it."""
    module, _, attribute = function.partition(":")
    path = find_source(module)
    if path is None or not path.name:
        return None
    return _signature_in(_parsed(path, function), attribute)


@cache
def optimizer_signature(name: str) -> Signature | None:
    """Return the signature of the Keras optimizer of this name; None if Keras keeps it elsewhere.

    >>> "beta_1" in optimizer_signature("adam").parameters
    True
    """
    package = find_source(_KERAS)
    path = package.parent / "src" / "optimizers" / f"{name}.py" if package else None
    if path is None or not path.is_file():
        return None
    module = _parsed(path, name)
    classes = [node.name for node in module.body if isinstance(node, ast.ClassDef)]
    named = [each for each in classes if each.lower() == name]
    signature = _signature_in(module, named[0], decorated=True) if named else None
    if signature is None:
        return None
    # Keras's **kwargs only hold names of the past, and refuse all others.
    kept = [each for each in signature.parameters.values() if each.kind != Parameter.VAR_KEYWORD]
    return signature.replace(parameters=kept)


@cache
def initializer_names() -> set[str]:
    """Return the names of Keras's initializers; empty if Keras keeps them elsewhere."""
    package = find_source(_KERAS)
    folder = package.parent / "src" / "initializers" if package else Path()
    classes = {
        node.name
        for path in folder.glob("*initializers.py")
        for node in _parsed(path, path.stem).body
        if isinstance(node, ast.ClassDef)
    }
    snake = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in classes}
    return classes | snake | set(_INITIALIZERS) if classes else set()


def _parsed(path: Path, name: str) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:  # ValueError: it is no text
        raise InputError(
            f"The module of {name} must be Python. Received: {reason(error)}. Correct the file."
        ) from error


def _names(module: ast.Module) -> set[str] | None:
    """Return all names that a module may give a value; None if the source does not say."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.alias):
            if node.name == "*":
                return None
            names.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, _Function | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    hidden = {"__getattr__", "globals", "setattr", "exec"}
    called = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
    return None if hidden & (names | called) else names


def _signature_in(module: ast.Module, name: str, *, decorated: bool = False) -> Signature | None:
    """Return the signature of a function or class, if the module defines it once and plainly.

    Args:
        decorated: decorators change nothing.
    """
    found = [
        node
        for node in module.body
        if isinstance(node, _Function | ast.ClassDef) and node.name == name
    ]
    stored = [node for node in ast.walk(module) if isinstance(node, ast.Name) and node.id == name]
    rebound = any(isinstance(node.ctx, ast.Store) for node in stored)
    if len(found) != 1 or rebound or (found[0].decorator_list and not decorated):
        return None
    [node] = found
    if isinstance(node, _Function):
        return Signature(_parameters(node.args))
    inits = [each for each in node.body if isinstance(each, _Function) and each.name == "__init__"]
    return Signature(_parameters(inits[0].args)[1:]) if inits else None


def _parameters(arguments: ast.arguments) -> list[Parameter]:
    positional = [
        *((each, Parameter.POSITIONAL_ONLY) for each in arguments.posonlyargs),
        *((each, Parameter.POSITIONAL_OR_KEYWORD) for each in arguments.args),
    ]
    without = len(positional) - len(arguments.defaults)
    defaults: Iterable[ast.expr | None] = [*[None] * without, *arguments.defaults]
    parameters = [
        _parameter(each, kind, default)
        for (each, kind), default in zip(positional, defaults, strict=True)
    ]
    if arguments.vararg:
        parameters.append(_parameter(arguments.vararg, Parameter.VAR_POSITIONAL))
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        parameters.append(_parameter(each, Parameter.KEYWORD_ONLY, default))
    if arguments.kwarg:
        parameters.append(_parameter(arguments.kwarg, Parameter.VAR_KEYWORD))
    return parameters


def _parameter(argument: ast.arg, kind: object, default: ast.expr | None = None) -> Parameter:
    """Make a parameter with its annotation as text, and `...` for a default that is computed."""
    value: object = Parameter.empty
    if default is not None:
        try:
            value = ast.literal_eval(default)
        except ValueError:
            value = ...
    annotation = ast.unparse(argument.annotation) if argument.annotation else Parameter.empty
    return Parameter(argument.arg, kind, default=value, annotation=annotation)  # type: ignore[arg-type]
