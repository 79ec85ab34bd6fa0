from __future__ import annotations

from dataclasses import fields

import pytest

from fal_jupyter.domain import errors
from fal_jupyter.domain.errors import (
    AppRuleBroken,
    BadArguments,
    BadSetting,
    FalJupyterError,
    GatewayUnreachable,
    NotServed,
    RequestError,
    SetupFailed,
)
from fal_jupyter.domain.revisions import compare
from fal_jupyter.domain.spec import AppSpec, EndpointSpec, Scaling, derive_app_name, option_rules

NAMES = {
    "MyApp": "my-app", "MyGoodApp": "my-good-app", "App": "app", "A": "a", "SDXL": "s-d-x-l", "ONNXModel": "o-n-n-x-model",
    "HTTPServer": "h-t-t-p-server", "Flux2Pro": "flux-pro", "MyApp2": "my-app", "T2V": "t-v", "X1Y2": "x-y",
    "helloWorld": "world", "Hello_World": "hello-world", "my_App": "app", "MyÉcole": "my", "mock_model": "mock-model",
    "_private": "private", "mymodel": "mymodel", "a1": "a1", "Текст": "текст", "_": "", "__": "",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_an_app_name_is_derived_as_the_real_package_does(name: str) -> None:
    assert derive_app_name(name) == NAMES[name]


def test_an_empty_class_name_has_no_app_name() -> None:
    with pytest.raises(AppRuleBroken, match="Cannot derive app name"):
        derive_app_name("")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_concurrency": -1}, "0 or more"),
        ({"max_concurrency": 0}, "1 or more"),
        ({"termination_grace_period_seconds": 31}, "0 to 30"),
        ({"min_concurrency": 3, "max_concurrency": 2}, "cannot exceed"),
    ],
)
def test_scaling_out_of_range_is_refused_with_the_range(options: dict[str, int], message: str) -> None:
    with pytest.raises(AppRuleBroken, match=message):
        Scaling(**options)


def test_warm_runners_count_as_a_minimum_within_the_maximum() -> None:
    assert Scaling(warm=1).floor == 1
    assert Scaling(warm=5, max_concurrency=2).floor == 2
    assert Scaling(min_concurrency=3, warm=1).floor == 3


def test_a_spec_survives_its_way_over_json_and_ignores_what_it_does_not_know() -> None:
    spec = AppSpec(
        class_name="Hello",
        alias="hello",
        endpoints=(EndpointSpec(name="hi", path="/"),),
        scaling=Scaling(keep_alive=3),
        machine_type=("S",),
        requirements=("numpy",),
    )
    data = spec.to_json()
    data["from_the_future"] = 1
    data["scaling"]["from_the_future"] = 1
    data["endpoints"][0]["from_the_future"] = 1

    assert AppSpec.from_json(data) == spec


@pytest.mark.parametrize(
    "wrong",
    [
        {"class_name": None}, {"endpoints": {}}, {"endpoints": [1]}, {"endpoints": [{"name": "hi"}]}, {"scaling": []}, {"scaling": {"keep_alive": "x"}}, {"machine_type": "S"},
        {"requirements": [1]}, {"secrets": 1}, {"health": 1}, {"health": {"threshold": 1}}, {"cors": "*"}, {"retry": 1}, {"retry": {"skip": "timeout"}}, {"retry": {"budgets": [1]}},
    ],
    ids=str,
)  # fmt: skip
def test_a_spec_that_is_incomplete_or_of_another_form_is_refused(wrong: dict[str, object]) -> None:
    head = {"class_name": "Hello", "alias": "hello"} | wrong
    with pytest.raises(AppRuleBroken, match="incomplete"):
        AppSpec.from_json({name: value for name, value in head.items() if value is not None})


def test_an_error_names_the_place_the_problem_and_the_command() -> None:
    error = FalJupyterError("it is wrong", hint="type this", where="cell [3]")

    assert str(error) == "cell [3]: it is wrong\ntype this"
    assert str(FalJupyterError("it is wrong")) == "it is wrong"
    assert error._render_traceback_() == ["FalJupyterError: cell [3]: it is wrong\ntype this"]


def test_a_failed_call_shows_the_users_traceback_and_nothing_else() -> None:
    shown = RequestError(
        "ValueError: bad x", traceback="Traceback:\n  File 1\nValueError: bad x\n"
    )._render_traceback_()
    bare = RequestError("hi answered 404: gone", status=404)._render_traceback_()

    assert shown == ["Traceback:", "  File 1", "RequestError: ValueError: bad x"]
    assert bare == ["RequestError: hi answered 404: gone"]


def test_a_failed_call_shows_the_lines_that_made_it_and_the_class_to_catch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RequestError, "lines_of_call", staticmethod(lambda _: ["  Cell In[3], line 1", "    A.hi()"]))
    error = RequestError("Odd: two\nlines", traceback="Traceback:\n  File 1\nmine.Odd: two\nlines\n")
    other = RequestError("ValueError: bad x", traceback="Traceback:\n  File 1\nsomething else")

    call = ["  Cell In[3], line 1", "    A.hi()"]
    assert error._render_traceback_() == [
        *call,
        "In the app:",
        "Traceback:",
        "  File 1",
        "RequestError: mine.Odd: two\nlines",
    ]
    assert other._render_traceback_()[-2:] == ["something else", "RequestError: ValueError: bad x"]
    assert RequestError("A.hi answered 404")._render_traceback_() == [*call, "RequestError: A.hi answered 404"]


def test_an_error_before_sending_shows_the_lines_of_its_call_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        FalJupyterError, "lines_of_call", staticmethod(lambda _: ["  Cell In[3], line 2", "    A.hi()"])
    )

    for kind in (BadArguments, NotServed, GatewayUnreachable):
        assert kind("it is wrong")._render_traceback_() == [
            "  Cell In[3], line 2", "    A.hi()", f"{kind.__name__}: it is wrong",
        ]  # fmt: skip
    assert BadSetting("it is wrong")._render_traceback_() == ["BadSetting: it is wrong"]


def test_a_failed_setup_shows_the_users_traceback_first() -> None:
    assert SetupFailed("x could not start", traceback="Traceback:\n  line")._render_traceback_() == [
        "Traceback:",
        "  line",
        "SetupFailed: x could not start",
    ]
    assert SetupFailed("x could not start")._render_traceback_() == ["SetupFailed: x could not start"]


def test_every_error_is_drawn_in_the_tree() -> None:
    drawn = errors.__doc__ or ""
    kinds = [name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert [name for name in kinds if name not in drawn] == []


@pytest.mark.parametrize(
    ("old", "new", "kind", "reason"),
    [
        ({"a": "1"}, {"a": "1"}, "nothing", "nothing changed"),
        ({"class A": "1"}, {"class A": "2"}, "rebuild", "class A changed"),
        ({"option keep_alive": "1"}, {"option keep_alive": "2"}, "scaled", "option keep_alive changed"),
        (
            {"class A": "1", "option x": "1"}, {"class A": "2", "option x": "2", "variable m": "1"}, "rebuild",
            "class A changed, variable m is new",
        ),
        ({"%env A": "1"}, {}, "rebuild", "%env A is gone"),
        (
            {"class B": "1", "sys.path": "1"}, {"%env A": "1", "class B": "2", "sys.path": "2", "a constant": "1"}, "rebuild",
            "class B changed, a constant is new, %env A is new and 1 more",
        ),
        (dict.fromkeys("abcde", "1"), dict.fromkeys("abcde", "2"), "rebuild", "a changed, b changed, c changed and 2 more"),
    ],
)  # fmt: skip
def test_fingerprints_are_compared(old: dict[str, str], new: dict[str, str], kind: str, reason: str) -> None:
    verdict = compare(old, new)

    assert (verdict.kind, verdict.reason) == (kind, reason)


def test_scaling_is_changed_by_hand_within_the_rules() -> None:
    base = Scaling(max_concurrency=2, warm=1)
    assert base.changed({}) == base
    assert base.changed({"max_concurrency": 4}) == Scaling(max_concurrency=4, warm=1)
    assert base.changed({"keep_alive": 2.5}) == Scaling(
        max_concurrency=2, keep_alive=2.5
    )  # exactly what it says: none warm
    assert base.changed({"min_concurrency": 1, "warm": 2}).warm == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_concurency": 3}, "there is no scaling option 'max_concurency'"),
        ({"max_concurrency": 2.5}, "must be a whole number"),
        ({"max_concurrency": True}, "must be a whole number"),
        ({"keep_alive": "x"}, "must be a number of seconds"),
        ({"keep_alive": float("nan")}, "must be a number of seconds"),
        ({"max_concurrency": 0}, "1 or more"),
        ({"min_concurrency": 5}, "min_concurrency is 5 but max_concurrency is 2"),
    ],
)
def test_an_impossible_change_is_refused_with_a_reason(changes: dict[str, object], words: str) -> None:
    with pytest.raises(AppRuleBroken, match=words):
        Scaling(max_concurrency=2).changed(changes)


def test_every_scaling_option_has_its_rule_for_panels() -> None:
    rules = {rule["name"]: rule for rule in option_rules()}
    assert list(rules) == [field.name for field in fields(Scaling)]
    assert rules["keep_alive"] == {"name": "keep_alive", "low": 0, "high": None, "default": 10, "unit": "s"}
    assert (rules["termination_grace_period_seconds"]["high"], rules["max_concurrency"]["unit"]) == (30, "")
