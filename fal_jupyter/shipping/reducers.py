"""Reducers for values that pickle cannot handle: how they are rebuilt in a runner, as pickle's ``(callable, arguments, state)``.

Each reducer covers one type of the standard library, typing or pydantic. Locks, thread-local data and context variables
have no content that another process could use, so a runner gets new ones; an acquired lock is refused.
"""

from __future__ import annotations

import concurrent.futures
import contextvars
import functools
import logging
import pickle
import random
import subprocess
import sys
import threading
import types
import typing
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from cloudpickle import cloudpickle

from fal_jupyter.shipping import constructors, loggers
from fal_jupyter.shipping.generators import home_of_generator

_CachedFunction = type(functools.lru_cache(len))
_dispatcher: Any = functools.singledispatch(len)  # a function; typeshed declares another class
_DISPATCHER: types.CodeType = _dispatcher.__code__
_OWN_OF_DISPATCHER = ("register", "dispatch", "registry", "_clear_cache", "__wrapped__")
_OWN_OF_VALIDATED = ("raw_function", "__wrapped__")
_LIVE = (threading.Thread, subprocess.Popen, concurrent.futures.Future)
_LOCK, _REENTRANT_LOCK = type(threading.Lock()), type(threading.RLock())
_THREAD_LOCAL = type(threading.local())
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: not a static type of C
TYPE_PARAMETERS = ("TypeVar", "ParamSpec", "TypeVarTuple")


def is_local(definition: object) -> bool:
    """True when *definition* (a class or function) was defined in the notebook or script, so that it is sent by value."""
    return getattr(definition, "__module__", None) in ("__main__", None)


def is_open_of_ipython(value: object) -> bool:
    """True for the ``open`` that IPython puts into a notebook's namespace; it names ``io`` as its module."""
    if type(value) is not types.FunctionType or value.__name__ != "open":
        return False
    return value.__globals__.get("__name__") == "IPython.core.interactiveshell"


def travels_by_value(definition: object) -> bool:
    """True when *definition* (a class or function) is sent by value: it is of the notebook, or cannot be imported by name.

    A class that a library creates dynamically (``dataclasses.make_dataclass``) claims to belong to the library.
    """
    if is_local(definition):
        return True
    if is_open_of_ipython(definition):
        return False  # a runner has the built-in one
    if isinstance(definition, type) and (not definition.__flags__ & _HEAP_TYPE or definition.__module__ == "builtins"):
        return False
    return not cloudpickle._should_pickle_by_reference(definition)


def reduce(obj: Any) -> Any:
    """Return how *obj* is rebuilt, or None if pickle or cloudpickle handles it.

    Raises:
        pickle.PicklingError: it cannot be sent; the message gives the reason.
    """
    reducer = _BY_TYPE.get(type(obj))
    if reducer is not None:
        return reducer(obj)
    if (shared := home_of_generator(obj)) is not None:
        return constructors.look_up, shared
    if isinstance(obj, logging.Logger):
        return loggers.reduce_logger(obj)
    if isinstance(obj, logging.Handler):
        return loggers.reduce_handler(obj)
    if isinstance(obj, _LIVE):  # since locks can be pickled, pickle would reduce these
        raise pickle.PicklingError(f"a {type(obj).__name__}, which belongs to this kernel")
    name = type(obj).__name__
    if (name, type(obj).__module__) == ("Meta", "msgspec"):
        keywords = {key: getattr(obj, key) for key in dir(obj) if not key.startswith("_")}
        return constructors.with_keywords, (
            type(obj),
            {key: value for key, value in keywords.items() if value is not None},
        )
    if name == "PyCSimpleType" and (attribute_of_type := _swapped(obj)) is not None:
        return getattr, attribute_of_type
    if name in TYPE_PARAMETERS and not _has_home(obj):
        return _type_parameter(obj)
    if name in ("ParamSpecArgs", "ParamSpecKwargs"):
        return getattr, (obj.__origin__, name[9:].lower())
    return None


def _has_home(parameter: Any) -> bool:
    """True for a type parameter of a library; those of a class statement claim the module "typing" too."""
    module = sys.modules.get(getattr(parameter, "__module__", None) or "")
    return not is_local(parameter) and getattr(module, parameter.__name__, None) is parameter


def _swapped(kind: Any) -> tuple[object, str] | None:
    """Return the type and attribute by which *kind*, a ctypes type in the other byte order, is found."""
    name, _, order = kind.__name__.rpartition("_")
    plain, attribute = getattr(sys.modules["ctypes"], name, kind), f"__ctype_{order}__"
    return (plain, attribute) if plain is not kind and getattr(plain, attribute, None) is kind else None


def made_by_library(function: Any) -> tuple[object, ...] | None:
    """Return how a library's wrapper of a function of the notebook is rebuilt; None for other values."""
    if not issubclass(type(function), types.FunctionType):
        return None
    if function is getattr(typing.Generic.__class_getitem__, "__func__", None):  # of a generic NamedTuple in 3.11
        return constructors.generic_getitem, ()
    if not is_local(function):
        return None
    if function.__code__ is _DISPATCHER:
        own = {name: value for name, value in vars(function).items() if name not in _OWN_OF_DISPATCHER}
        state = (dict(function.registry), own)
        return constructors.dispatcher, (function.__wrapped__,), state, None, None, constructors.set_dispatcher
    if (validation := _validation_of(function)) is not None:
        own = {name: value for name, value in vars(function).items() if name not in _OWN_OF_VALIDATED}
        config = dict(validation.config_wrapper.config_dict)
        arguments = (validation.function, config, validation.validate_return)
        return constructors.validated, arguments, own, None, None, constructors.set_attributes
    return None


def functions_around(function: Any) -> Iterator[object]:
    """Yield objects of the notebook in a library's wrapper: the wrapped function, implementations, closure contents."""
    if function.__code__ is _DISPATCHER:
        yield from function.registry.values()
        return
    yield getattr(function, "__wrapped__", None)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not bound yet
            continue


def _validation_of(function: types.FunctionType) -> Any:
    """Return the object that ``pydantic.validate_call`` stores in its wrapper's closure, or None."""
    if not hasattr(function, "raw_function"):
        return None
    for value in functions_around(function):
        owner = getattr(value, "__self__", None)
        if type(owner).__name__ == "ValidateCallWrapper" and hasattr(owner, "config_wrapper"):
            return owner
    return None


def _cached(function: Any) -> object:
    return (constructors.cached, (function.__wrapped__, function.cache_parameters())) if is_local(function) else None


def _cached_property(prop: functools.cached_property[object]) -> object:  # in 3.11 it holds a lock
    return constructors.cached_property, (prop.func, prop.attrname)


def _new_type(kind: Any) -> object:
    return (constructors.new_type, (kind.__name__, kind.__supertype__)) if is_local(kind) else None


def _lock(lock: Any) -> object:
    if lock.locked():
        raise pickle.PicklingError("a lock that is held")
    return threading.Lock, ()


def _reentrant_lock(lock: Any) -> object:
    if lock._is_owned() or not lock.acquire(blocking=False):
        raise pickle.PicklingError("a lock that is held")
    lock.release()
    return threading.RLock, ()


def _thread_local(_: threading.local) -> object:
    return threading.local, ()  # its values belong to this thread only


def _system_random(_: random.SystemRandom) -> object:
    return random.SystemRandom, ()  # it has no state, which pickle treats as an error


def _weak(collection: Any) -> object:
    """The current contents of a weak set or dictionary; the copy holds them weakly, too."""
    return type(collection), (list(collection) if isinstance(collection, weakref.WeakSet) else dict(collection),)


def _context_variable(variable: contextvars.ContextVar[object]) -> object:
    default: tuple[object, ...] = ()
    try:
        default = (contextvars.Context().run(variable.get),)
    except LookupError:
        pass
    missing = object()
    current = variable.get(missing)
    if current is not missing and not (default and current is default[0]):
        raise pickle.PicklingError(
            f"the context variable {variable.name!r} with a value that belongs to this kernel ({current!r:.60}): "
            "set it in the endpoint, or give it a default"
        )
    return constructors.context_variable, (variable.name, default)


def declaration(parameter: Any) -> tuple[str, str, int, bool]:
    """Return how a ``type`` statement declares *parameter*: prefix, name, number of limits, whether it has a default."""
    prefix = {"TypeVarTuple": "*", "ParamSpec": "**"}.get(type(parameter).__name__, "")
    return prefix, parameter.__name__, len(limits(parameter)) - _has_default(parameter), _has_default(parameter)


def limits(parameter: Any) -> tuple[object, ...]:
    """Return the bound or the constraints of a type parameter, then its default if it has one."""
    bound = getattr(parameter, "__bound__", None)
    bounds = getattr(parameter, "__constraints__", ()) or (() if bound is None else (bound,))
    return (*bounds, parameter.__default__) if _has_default(parameter) else tuple(bounds)


def _has_default(parameter: object) -> bool:
    has_default = getattr(parameter, "has_default", None)
    return bool(has_default is not None and has_default())


def _type_parameter(parameter: Any) -> object:
    variances = ("covariant", "contravariant", "infer_variance")
    keywords = {keyword: True for keyword in variances if getattr(parameter, f"__{keyword}__", False)}
    default = (parameter.__default__,) if _has_default(parameter) else ()
    bound, constraints = getattr(parameter, "__bound__", None), getattr(parameter, "__constraints__", ())
    arguments = (type(parameter).__name__, parameter.__name__, keywords, bound, constraints, default)
    return constructors.type_parameter, arguments


_BY_TYPE: dict[type, Callable[[Any], object]] = {
    _CachedFunction: _cached,
    functools.cached_property: _cached_property,
    typing.NewType: _new_type,
    _LOCK: _lock,
    _REENTRANT_LOCK: _reentrant_lock,
    _THREAD_LOCAL: _thread_local,
    contextvars.ContextVar: _context_variable,
    random.SystemRandom: _system_random,
    weakref.WeakSet: _weak,
    weakref.WeakKeyDictionary: _weak,
    weakref.WeakValueDictionary: _weak,
}
