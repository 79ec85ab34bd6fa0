"""Every option of ``fal.App``, in the three places where it can be written: variable, class keyword, ``host_kwargs``."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from fal_jupyter import fal
from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.fal.classes.definition import DEFAULT_HOST_KWARGS
from fal_jupyter.fal.classes.describe import describe_app
from fal_jupyter.fal.classes.options import OPTIONS
from fal_jupyter.fal.classes.warned import AppWarning, MisspeltOption
from fal_jupyter.fal.sdk import RetryConfig

IMAGE = fal.ContainerImage.from_dockerfile_str("FROM python:3.11")
SECONDS = "a number of seconds"
WHOLE = "a whole number"

# option: (values that fit, values of another type, what it must be, values out of range, its range)
TABLE: dict[str, tuple[list[Any], list[Any], str, list[Any], str]] = {
    "requirements": (
        [[], ["numpy"], [["numpy"], ["torch", "pillow"]]],
        ["numpy", ["numpy", 1], [["numpy"], "torch"], None],
        "a list of strings or a list of lists of strings",
        [],
        "",
    ),
    "requirements_context_dir": (["."], [Path()], "a string", [], ""),
    "local_python_modules": ([[], ["utils"]], ["utils", [1], None], "a list of module names", [], ""),
    "machine_type": (["S", ["GPU-H100", "GPU-H200"]], ["", [], [1], 4, None], "a string or a list of strings", [], ""),
    "num_gpus": ([0, 2, None, np.int64(1)], ["2", 1.5, True], WHOLE, [-1], "0 or more"),
    "regions": ([["eu"], None], ["eu", [1]], "a list of strings", [], ""),
    "app_name": (["hello", None], [5, ["hello"]], "a string", [], ""),
    "app_auth": (["private", "public", "shared", None], ["secret", "Public", True, ["public"]], '"private"', [], ""),
    "app_files": ([["a.txt"]], ["a.txt", [1]], "a list of strings", [], ""),
    "app_files_ignore": ([[], [r"\.pyc$"]], [["("], r"\.pyc$", [1]], "a list of regular expressions", [], ""),
    "request_timeout": ([1, 300, 2.5, None], ["300", True, float("inf")], SECONDS, [0, -3], "1 or more"),
    "request_start_timeout": ([1, None], ["1", [1]], SECONDS, [0], "1 or more"),
    "startup_timeout": ([1, 900, None], ["900", float("nan")], SECONDS, [0, 0.5], "1 or more"),
    "keep_alive": ([0, 0.5, 300, np.float64(2), None], ["5", True, float("nan")], SECONDS, [-1], "0 or more"),
    "metrics_port": ([0, 9090, None], ["9090", 1.0], WHOLE, [-1, 65536], "0 to 65535"),
    "min_concurrency": ([0, 1, None], ["1", 1.0, True], WHOLE, [-1], "0 or more"),
    "max_concurrency": ([1, 50, None], ["50", 2.5, False], WHOLE, [0, -1], "1 or more"),
    "concurrency_buffer": ([0, 2, None], ["2", 0.5], WHOLE, [-1], "0 or more"),
    "concurrency_buffer_perc": ([0, 150, None], ["20%", 0.5], WHOLE, [-1], "0 or more"),
    "scaling_delay": ([0, 1.5, None], ["1"], SECONDS, [-1], "0 or more"),
    "max_multiplexing": ([1, 40, None], ["5", 1.5], WHOLE, [0], "1 or more"),
    "termination_grace_period_seconds": ([0, 30, None], ["5"], SECONDS, [-1, 31], "0 to 30"),
    "kind": (["virtualenv", "container", "conda", None], ["docker", 1], '"virtualenv", "container" or "conda"', [], ""),
    "image": ([IMAGE, None], ["FROM x", {}], "a fal.ContainerImage", [], ""),
    "local_file_path": (["app.py", None], [Path("app.py")], "a string", [], ""),
    "skip_retry_conditions": (
        [["timeout"], ("server_error", "connection_error"), ["TIMEOUT", "client_error"], [], None],
        ["timeout", ["nope"], ["timeout", 1]],
        '"connection_error", "server_error", "timeout"',
        [],
        "",
    ),
    "retry_config": (
        [RetryConfig(timeout=1), {"timeout": {"retries": 2}}, {"timeout": {"retries": -1}}, None],
        [3, {}, {"nope": {"retries": 1}}, {"timeout": 1}, {"timeout": {"retries": True}}, {"timeout": {"times": 1}}],
        "a fal.sdk.RetryConfig or a dict",
        [],
        "",
    ),
    "secrets": ([["TOKEN"], None], ["TOKEN", {"TOKEN": "x"}], "a list of strings", [], ""),
    "data_mounts": ([["/data"], None], ["/data"], "a list of strings", [], ""),
    "version": (["1.2"], [1.2], "a string", [], ""),
    "resolver": (["pip"], [1], "a string", [], ""),
    "_scheduler": (["nomad"], [1], "a string", [], ""),
    "_scheduler_options": ([{"storage_region": "eu"}], ["eu", {1: 2}], "a dict", [], ""),
    "host_kwargs": ([{}, {"resolver": "pip"}], [None, [("keep_alive", 1)], {1: 2}], "a dict", [], ""),
}
# written as a class keyword or in host_kwargs only
KEYWORDS_ONLY: dict[str, tuple[list[Any], list[Any], str]] = {
    "_base_image": (["debian"], [1], "a string"),
    "private_logs": ([True, False], ["yes", 1], "True or False"),
    "setup_function": ([print], ["print"], "a function"),
    "python_version": (["3.11"], [3.11], 'a string such as "3.11"'),
    "compile_bytecode": ([True], ["yes"], "True or False"),
    "force": ([True], [1], "True or False"),
    "force_env_build": ([True], [1], "True or False"),
}
VARIABLES_ONLY = (
    "requirements", "local_python_modules", "machine_type", "num_gpus", "regions", "app_name", "app_auth",
    "local_file_path", "version", "host_kwargs",
)  # fmt: skip
BOTH_WAYS = [name for name in TABLE if name not in VARIABLES_ONLY]


def hi(self: Any) -> str:
    return "hi"


def variable(name: str, value: Any) -> Any:
    return type(fal.App)("Mine", (fal.App,), {name: value, "hi": fal.endpoint("/")(hi)})


def keyword(name: str, value: Any) -> Any:
    return type(fal.App)("Mine", (fal.App,), {"hi": fal.endpoint("/")(hi)}, **{name: value})


def hosted(name: str, value: Any) -> Any:
    return variable("host_kwargs", {name: value})


PLACES: dict[str, Callable[[str, Any], Any]] = {"variable": variable, "keyword": keyword, "host_kwargs": hosted}


def cells(column: int, names: list[str]) -> list[tuple[str, Any]]:
    return [(name, value) for name in names for value in TABLE[name][column]]


def test_the_table_names_every_option_there_is() -> None:
    assert set(TABLE) | set(KEYWORDS_ONLY) == set(OPTIONS) - {
        "app_files_context_dir",
        "health_check_config",
        "machine_types",
    }


# --- class variables --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "value"), cells(0, list(TABLE)))
def test_a_valid_class_variable_is_accepted_unchanged(name: str, value: Any) -> None:
    made = variable(name, value)

    if name == "host_kwargs":
        assert value.items() <= made.host_kwargs.items()
    elif name == "app_name":
        assert made.app_name == (value or "mine")
    else:
        assert getattr(made, name) == value


@pytest.mark.parametrize(("name", "value"), cells(1, list(TABLE)))
def test_a_class_variable_of_another_type_is_refused_with_what_it_must_be(name: str, value: Any) -> None:
    with pytest.raises(AppRuleBroken) as caught:
        variable(name, value)

    message = str(caught.value)
    assert message.startswith(f"Mine: {name} must be ")
    assert TABLE[name][2] in message
    assert f"({type(value).__name__})" in message
    assert len(message.splitlines()) == 1 + ("did you mean" in message)


@pytest.mark.parametrize(("name", "value"), cells(3, list(TABLE)))
def test_a_class_variable_out_of_range_is_refused_with_the_range(name: str, value: Any) -> None:
    with pytest.raises(AppRuleBroken) as caught:
        variable(name, value)

    assert str(caught.value) == f"Mine: {name} is {value}, but it must be {TABLE[name][4]}"


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_a_class_variable_reaches_host_kwargs_as_a_copy(name: str) -> None:
    value = TABLE[name][0][-1] if TABLE[name][0][-1] is not None else TABLE[name][0][0]
    made = variable(name, value)

    assert made.host_kwargs[name] == value
    if isinstance(value, list | dict):
        assert made.host_kwargs[name] is not value


@pytest.mark.parametrize("name", [name for name in VARIABLES_ONLY if name != "host_kwargs"])
def test_what_is_passed_separately_never_reaches_host_kwargs(name: str) -> None:
    assert name not in variable(name, TABLE[name][0][0]).host_kwargs


def test_a_fresh_app_has_the_host_kwargs_of_the_real_package() -> None:
    class Mine(fal.App):
        pass

    assert Mine.host_kwargs == {
        "_scheduler": "nomad",
        "_scheduler_options": {"storage_region": "us-east"},
        "resolver": "uv",
        "keep_alive": 60,
        "app_files_ignore": [r"\.pyc$", r"__pycache__/", r"\.git/", r"\.DS_Store$"],
        "health_check_config": None,
    }


def test_a_long_value_is_cut_in_the_sentence_and_a_value_without_a_repr_does_no_harm() -> None:
    class Unreadable:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    with pytest.raises(AppRuleBroken, match=r"but it is 'x{56}\.\.\. \(str\)$"):
        variable("keep_alive", "x" * 500)
    with pytest.raises(AppRuleBroken, match=r"without a readable form \(Unreadable\)"):
        variable("keep_alive", Unreadable())


def test_the_whole_page_of_options_is_one_class() -> None:
    class ImageGenerationApp(fal.App):
        requirements: ClassVar = ["torch==2.1.0", "diffusers==0.24.0", "pillow"]
        local_python_modules: ClassVar = ["custom_pipeline"]
        machine_type: ClassVar = ["GPU-H100", "GPU-H200"]
        num_gpus = 1
        request_timeout = 600
        startup_timeout = 900
        app_auth = "shared"
        app_name = "stable-diffusion-xl"
        keep_alive = 300
        min_concurrency = 1
        max_concurrency = 2
        concurrency_buffer = 1
        max_multiplexing = 1

        @fal.endpoint("/generate")
        def generate(self, prompt: str, steps: int = 30) -> dict[str, Any]:
            return {"prompt": prompt, "steps": steps}

    assert ImageGenerationApp.app_name == "stable-diffusion-xl"
    assert ImageGenerationApp.host_kwargs["keep_alive"] == 300
    assert ImageGenerationApp.host_kwargs["concurrency_buffer"] == 1


# --- class keywords and host_kwargs -----------------------------------------------------------------------------------
@pytest.mark.parametrize("place", ["keyword", "host_kwargs"])
@pytest.mark.parametrize("name", [name for name in BOTH_WAYS if name not in ("app_files", "image")])
def test_an_option_is_accepted_as_a_keyword_and_in_host_kwargs(place: str, name: str) -> None:
    value = TABLE[name][0][0]

    assert PLACES[place](name, value).host_kwargs[name] == (
        value if name != "app_files_ignore" else fal.App.app_files_ignore  # the inherited variable stands over both
    )


@pytest.mark.parametrize("place", ["keyword", "host_kwargs"])
@pytest.mark.parametrize("name", BOTH_WAYS)
def test_a_keyword_and_host_kwargs_are_checked_like_the_variable(place: str, name: str) -> None:
    for value in TABLE[name][1]:
        with pytest.raises(AppRuleBroken, match=f"^Mine.*: {name} must be ") as caught:
            PLACES[place](name, value)
        assert TABLE[name][2] in str(caught.value)
    for value in TABLE[name][3]:
        with pytest.raises(AppRuleBroken, match=f"^Mine.*: {name} is {value}, but it must be {TABLE[name][4]}$"):
            PLACES[place](name, value)


@pytest.mark.parametrize("name", KEYWORDS_ONLY)
def test_some_options_are_keywords_or_host_kwargs_only(name: str) -> None:
    fitting, unfit, what = KEYWORDS_ONLY[name]
    for place in (keyword, hosted):
        for value in fitting:
            assert place(name, value).host_kwargs[name] == value
        for value in unfit:
            with pytest.raises(AppRuleBroken, match=re.escape(f"{name} must be {what}")):
                place(name, value)

    users_own = variable(name, unfit[0])  # not checked, not warned of, not hosted
    assert getattr(users_own, name) == unfit[0]
    assert name not in users_own.host_kwargs


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("machine_type", "GPU-H100"),
        ("num_gpus", 1),
        ("regions", ["eu"]),
        ("requirements", ["numpy"]),
        ("local_python_modules", ["utils"]),
        ("app_auth", "public"),
        ("app_name", "hello"),
    ],
)
def test_what_never_works_as_a_keyword_is_taken_with_a_warning_and_never_served(name: str, value: Any) -> None:
    advice = "name='hello'" if name == "app_name" else f"{name} = {value!r} in the body of the class"
    for place in (keyword, hosted):
        sentence = f"{name} cannot be a class keyword or in host_kwargs"
        with pytest.warns(AppWarning) as caught:
            made = place(name, value)
        (message,) = [str(one.message) for one in caught]
        assert message == f"class Mine: {sentence}, so the class cannot be served: write {advice}"
        assert name in made.host_kwargs  # as in the real package
        with pytest.raises(
            AppRuleBroken, match=f"^Mine: {sentence}\nwrite {advice.partition('=')[0].strip()} ?= ?\\.\\.\\."
        ):
            fal.describe(made)


@pytest.mark.parametrize("place", [keyword, hosted])
@pytest.mark.parametrize("name", ["foo", "machine_typ", "metadatas"])
def test_a_keyword_that_is_no_option_is_taken_with_a_warning(name: str, place: Callable[[str, Any], Any]) -> None:
    with pytest.warns(AppWarning, match=f"^class Mine: {name} is not an option of fal.App: it has no effect here"):
        made = place(name, 1)
    assert made.host_kwargs[name] == 1
    subclass = type(fal.App)("Theirs", (made,), {})  # not told again: its author has not written it
    for cls in (made, subclass):
        assert fal.describe(cls).endpoints
        with pytest.raises(ValueError, match=f"^Unrecognised option '{name}'"):
            fal.wrap_app(cls)


@pytest.mark.parametrize("name", ["metadata", "exposed_port", "serve"])
def test_what_fal_sets_itself_is_never_served_with_that_word(name: str) -> None:
    for place in (keyword, hosted):
        with pytest.warns(AppWarning, match=f"{name} cannot be a class keyword or in host_kwargs.*leave it out"):
            made = place(name, None)
        with pytest.raises(AppRuleBroken, match=f"^Mine: {name} cannot be .*\nfal sets it itself: leave it out"):
            fal.describe(made)
    users_own = variable(name, 1)  # a class variable of that name is the user's
    assert getattr(users_own, name) == 1


def test_options_of_conda_environments_are_taken() -> None:
    made = type(fal.App)("Mine", (fal.App,), {"hi": fal.endpoint("/")(hi)}, kind="conda", packages=["x"], pip=["y"])
    assert (made.host_kwargs["packages"], fal.describe(made).alias) == (["x"], "mine")


@pytest.mark.parametrize("value", ["S", ["S", "M"], None])
def test_machine_types_is_accepted_as_a_keyword_and_in_host_kwargs_without_effect(value: Any) -> None:
    for place in (keyword, hosted):
        made = place("machine_types", value)
        assert made.host_kwargs["machine_types"] == value
        assert made.machine_type == fal.App.machine_type
        wrapped = fal.wrap_app(made).options.host
        assert (wrapped["machine_types"], wrapped["machine_type"]) == (value, "S")


@pytest.mark.parametrize("value", [5, [], ["S", 1], ""])
def test_machine_types_is_checked_as_machine_type_is(value: Any) -> None:
    for place in (keyword, hosted):
        with pytest.raises(AppRuleBroken, match="machine_types must be a string or a list of strings"):
            place("machine_types", value)


def test_a_kind_of_none_is_refused_when_the_class_is_wrapped_or_served() -> None:
    for place in (keyword, hosted):
        made = place("kind", None)
        assert made.host_kwargs["kind"] is None
        for use in (fal.wrap_app, describe_app):
            with pytest.raises(ValueError, match=r"Unrecognised environment kind None\. Only virtualenv, container"):
                use(made)
    for use in (fal.wrap_app, describe_app):
        use(variable("kind", None))


def test_the_health_check_cannot_be_given_as_a_keyword() -> None:
    assert keyword("health_check_config", {"path": "/"}).host_kwargs["health_check_config"] is None


# --- misspelt options -------------------------------------------------------------------------------------------------
MISSPELT = {
    "keep_aliv": "keep_alive", "keepalive": "keep_alive", "Keep_Alive": "keep_alive", "kep_alive": "keep_alive",
    "max_concurency": "max_concurrency", "min_concurency": "min_concurrency", "max_multiplexin": "max_multiplexing",
    "request_timeouts": "request_timeout", "requestTimeout": "request_timeout", "startup_timout": "startup_timeout",
    "scaling_dely": "scaling_delay", "concurrency_bufer": "concurrency_buffer",
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", MISSPELT)
def test_a_misspelt_option_is_a_warning_that_names_both(place: str, name: str) -> None:
    with pytest.warns(MisspeltOption) as caught:
        PLACES[place](name, 3)

    assert len(caught) == 1
    message = str(caught[0].message)
    assert "Mine" in message
    assert f"{name} is not an option of fal.App" in message
    assert f"did you mean {MISSPELT[name]}?" in message


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("machine_typ", "S", "machine_type"),
        ("machine_types", ["S"], "machine_type"),
        ("requirement", ["numpy"], "requirements"),
        ("app_nam", "x", "app_name"),
        ("app_aut", "public", "app_auth"),
        ("num_gpu", 1, "num_gpus"),
        ("local_python_module", ["m"], "local_python_modules"),
        ("host_kwarg", {"keep_alive": 3}, "host_kwargs"),
    ],
)
def test_a_misspelt_variable_is_a_warning_too_where_no_keyword_exists(name: str, value: Any, meant: str) -> None:
    with pytest.warns(MisspeltOption, match=f"Mine.{name} .*did you mean {meant}\\?"):
        variable(name, value)


def test_the_warning_points_at_the_users_line_each_time_that_it_runs() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(2):

            class Mine(fal.App):
                keep_aliv = 3

    ours = [
        warning for warning in caught if warning.category is MisspeltOption
    ]  # the collector may warn of others' objects
    assert len(ours) == 2
    assert ours[0].filename == __file__
    line = Path(__file__).read_text().splitlines()[ours[0].lineno - 1]
    assert line.strip() == "class Mine(fal.App):"


def test_a_misspelt_keyword_is_warned_of_again_when_the_class_is_served() -> None:
    with pytest.warns(MisspeltOption):
        made = keyword("keep_aliv", 5)

    with pytest.raises(AppRuleBroken, match=r"Mine: Unrecognised option 'keep_aliv'\.\nDid you mean 'keep_alive'\?"):
        fal.describe(made)


def test_a_misspelt_variable_still_serves() -> None:
    with pytest.warns(MisspeltOption):
        made = variable("keep_aliv", 5)

    assert fal.describe(made).scaling.keep_alive == 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "bert"), ("images", ["a.png"]), ("kinds", {"a": 1}), ("secret", "k"), ("versions", [1]),
        ("timeout", 5), ("concurrency", 2), ("name", "x"), ("auth", "x"), ("machine", "S"), ("max_tokens", 5),
        ("files", []), ("log_level", "info"), ("_keep_aliv", 5), ("threshold", 0.5), ("region", "eu"),
    ],
)  # fmt: skip
def test_any_other_class_attribute_is_the_users_own(name: str, value: Any) -> None:
    made = variable(name, value)  # a warning would be an error here

    assert getattr(made, name) == value
    assert name not in made.host_kwargs


def test_methods_and_properties_with_a_near_name_are_no_misspelt_options() -> None:
    class Mine(fal.App):
        def keep_aliv(self) -> None: ...

        @property
        def max_concurency(self) -> int:
            return 1

        @staticmethod
        def app_fils() -> None: ...

        class Requirement:
            pass

    assert "keep_aliv" not in Mine.host_kwargs


# --- precedence -------------------------------------------------------------------------------------------------------
def test_a_variable_overrides_a_keyword_and_a_keyword_overrides_host_kwargs() -> None:
    class Mine(fal.App, keep_alive=5, max_concurrency=6, startup_timeout=7):
        host_kwargs: ClassVar = {"keep_alive": 50, "max_concurrency": 60, "startup_timeout": 70, "scaling_delay": 80}
        keep_alive = 1
        max_concurrency = 2

    shown = {name: Mine.host_kwargs[name] for name in Mine.host_kwargs if OPTIONS[name].low is not None}
    assert shown == {"keep_alive": 1, "max_concurrency": 2, "startup_timeout": 7, "scaling_delay": 80}


def test_host_kwargs_in_the_body_replace_the_inherited_ones() -> None:
    class Mine(fal.App):
        host_kwargs: ClassVar = {"keep_alive": 99}

    assert "resolver" not in Mine.host_kwargs
    assert "_scheduler" not in Mine.host_kwargs
    assert Mine.host_kwargs["keep_alive"] == 99


def test_an_inherited_variable_overrides_the_keyword_of_a_subclass() -> None:
    class Base(fal.App):
        keep_alive = 8

    class Sub(Base, keep_alive=9, max_concurrency=4):
        pass

    assert Sub.host_kwargs["keep_alive"] == 8
    assert Sub.host_kwargs["max_concurrency"] == 4


def test_a_variable_set_back_to_none_does_not_unset() -> None:
    class Base(fal.App):
        request_timeout = 10

    class Sub(Base):
        request_timeout = None

    assert Sub.host_kwargs["request_timeout"] == 10


def test_options_come_from_a_mixin_too() -> None:
    class Big:
        max_concurrency = 7
        keep_alive = 3

    class Mine(Big, fal.App):
        pass

    class Wrong:
        keep_alive = "long"

    assert (Mine.host_kwargs["max_concurrency"], Mine.host_kwargs["keep_alive"]) == (7, 3)
    with pytest.raises(AppRuleBroken, match="Mixed: keep_alive must be a number of seconds"):
        type(fal.App)("Mixed", (Wrong, fal.App), {})


def test_no_class_changes_its_base() -> None:
    class Base(fal.App, min_concurrency=1):
        pass

    class Sub(Base, keep_alive=7):
        host_kwargs: ClassVar = {"resolver": "pip"}

    Sub.host_kwargs["_scheduler_options"] = {"storage_region": "eu"}
    assert Base.host_kwargs["keep_alive"] == 60
    assert Base.host_kwargs["resolver"] == "uv"
    assert fal.App.host_kwargs == DEFAULT_HOST_KWARGS
    Base.host_kwargs["_scheduler_options"]["storage_region"] = "eu"
    assert fal.App.host_kwargs["_scheduler_options"] == {"storage_region": "us-east"}


def test_host_kwargs_of_the_user_are_copied_not_changed() -> None:
    mine = {"keep_alive": 5}

    made = variable("host_kwargs", mine)

    assert mine == {"keep_alive": 5}
    assert made.host_kwargs is not mine


# --- rules between options --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("keywords", "body"),
    [
        ({}, {"min_concurrency": 3, "max_concurrency": 2}),
        ({"min_concurrency": 3, "max_concurrency": 2}, {}),
        ({"min_concurrency": 3}, {"max_concurrency": 2}),
        ({"max_concurrency": 2}, {"host_kwargs": {"min_concurrency": 3}}),
        ({}, {"host_kwargs": {"min_concurrency": 3, "max_concurrency": 2}}),
        ({}, {"min_concurrency": np.int64(3), "max_concurrency": np.int64(2)}),
    ],
)
def test_a_minimum_over_the_maximum_is_refused_wherever_they_are_written(
    keywords: dict[str, Any], body: dict[str, Any]
) -> None:
    with pytest.raises(AppRuleBroken) as caught:
        type(fal.App)("Mine", (fal.App,), body, **keywords)

    assert str(caught.value) == (
        "Mine: min_concurrency is 3 but max_concurrency is 2: the minimum cannot exceed the maximum\n"
        "raise max_concurrency to 3 or lower min_concurrency"
    )


def test_a_minimum_over_the_inherited_maximum_is_refused() -> None:
    class Base(fal.App):
        max_concurrency = 2

    with pytest.raises(AppRuleBroken, match=r"^Sub: min_concurrency is 5 but max_concurrency is 2"):
        type(fal.App)("Sub", (Base,), {"min_concurrency": 5})


def test_files_and_images_do_not_go_together() -> None:
    with pytest.raises(AppRuleBroken, match="app_files_context_dir is only supported when app_files is provided"):
        variable("app_files_context_dir", ".")
    with pytest.raises(AppRuleBroken, match="app_files is not supported for container apps"):
        type(fal.App)("Mine", (fal.App,), {"image": IMAGE, "app_files": ["a"]})

    both = type(fal.App)("Mine", (fal.App,), {"app_files_context_dir": ".", "app_files": ["a"]})
    assert both.host_kwargs["app_files_context_dir"] == "."


def test_an_image_makes_a_container_app_as_a_variable_only() -> None:
    assert variable("image", IMAGE).host_kwargs["kind"] == "container"
    assert "kind" not in keyword("image", IMAGE).host_kwargs


# --- __init__ ---------------------------------------------------------------------------------------------------------
def test_an_init_of_its_own_is_refused_with_the_advice_to_use_setup() -> None:
    with pytest.raises(
        AppRuleBroken, match=r"^App classes should not override __init__ directly\. Use setup\(\) instea"
    ):

        class Mine(fal.App):
            def __init__(self) -> None: ...


def test_an_init_of_a_mixin_before_the_app_is_refused_too_and_behind_it_is_not() -> None:
    class Own:
        def __init__(self) -> None: ...

    with pytest.raises(AppRuleBroken, match=r"Use setup\(\)"):

        class Before(Own, fal.App): ...

    class Behind(fal.App, Own): ...

    assert Behind.__init__ is fal.App.__init__


def test_a_broken_rule_is_a_value_error_as_in_the_real_package() -> None:
    with pytest.raises(ValueError, match="keep_alive"):
        variable("keep_alive", -1)
