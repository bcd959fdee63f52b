"""Tests that run beside each other, each in a thread: one after the other, most of their time would be waiting."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias

import pytest

#: The tests of a module that run beside each other, by name.
Begun: TypeAlias = Mapping[str, "Future[None]"]


def beside(body: Callable[..., None]) -> Callable[..., None]:
    """
    Make a test of a function that :func:`begin` calls; all of a module begin with the first one.

    :param body: the function. Its arguments are those of :func:`begin`, which it may use in a thread, and those of the
        mark ``parametrize``, if it has one.
    """

    def test(request: pytest.FixtureRequest, begun: Begun, **_: object) -> None:
        begun[request.node.name].result()

    test.__name__, test.__qualname__, test.__doc__ = body.__name__, body.__qualname__, body.__doc__
    test.__module__ = body.__module__
    marks: list[pytest.Mark] = getattr(body, "pytestmark", [])
    names = ["request", "begun", *(mark.args[0] for mark in marks if mark.name == "parametrize")]
    signature = inspect.Signature([inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names])
    vars(test).update(body=body, pytestmark=marks, __signature__=signature)
    return test


@contextmanager
def begin(request: pytest.FixtureRequest, **given: Any) -> Iterator[Begun]:
    """
    Begin the tests of the module that are made by :func:`beside` and selected; for a fixture ``begun`` of a module.

    :param given: what the functions take, by the name of the argument.
    """
    tests = [
        item
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and "body" in vars(item.function)
    ]
    with ThreadPoolExecutor(max(1, len(tests))) as pool:
        begun = {}
        for item in tests:
            body = vars(item.function)["body"]
            known = given | (item.callspec.params if hasattr(item, "callspec") else {})
            arguments = {name: known[name] for name in inspect.signature(body).parameters}
            begun[item.name] = pool.submit(body, **arguments)
        yield begun
