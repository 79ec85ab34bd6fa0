"""What the gateway receives of a class: name, who may call, endpoints, scaling, and when a warm runner is held."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from fal_jupyter import fal
from fal_jupyter.domain.errors import AppRuleBroken, BadSetting
from fal_jupyter.domain.queue.retries import RetryRules
from fal_jupyter.domain.spec import AppSpec, EndpointSpec, Scaling
from fal_jupyter.fal.classes.routes import routes_of
from fal_jupyter.fal.sdk import RetryConfig


def hi(self: Any) -> str:
    return "hi"


def make(class_name: str = "Hello", keywords: dict[str, Any] | None = None, **body: Any) -> Any:
    return type(fal.App)(class_name, (fal.App,), {"hi": fal.endpoint("/")(hi), **body}, **(keywords or {}))


# --- the whole --------------------------------------------------------------------------------------------------------
def test_a_plain_class_has_the_defaults_of_the_page_and_one_warm_runner() -> None:
    assert fal.describe(make()) == AppSpec(
        class_name="Hello",
        alias="hello",
        auth="private",
        endpoints=(EndpointSpec(name="hi", path="/", signature="() -> 'str'", doc=""),),
        scaling=Scaling(warm=1),
        machine_type=(),  # nothing declared: the whole machine
        num_gpus=None,
        requirements=(),
    )
    scaling = fal.describe(make()).scaling
    assert (scaling.keep_alive, scaling.min_concurrency, scaling.max_concurrency) == (10, 0, 10)
    assert (scaling.concurrency_buffer, scaling.max_multiplexing) == (0, 1)
    assert (scaling.request_timeout, scaling.startup_timeout) == (3600, 600)


def test_every_option_with_an_effect_is_described() -> None:
    spec = fal.describe(
        make(
            keywords={"max_concurrency": 5, "name": "by-keyword"},
            host_kwargs={"startup_timeout": 60, "keep_alive": 2.5},
            app_auth="public",
            machine_type=["GPU-H100", "GPU-H200"],
            num_gpus=np.int64(2),
            requirements=[["numpy"], ["torch", "pillow"]],
            min_concurrency=1,
            concurrency_buffer=2,
            concurrency_buffer_perc=50,
            scaling_delay=3,
            max_multiplexing=4,
            request_timeout=30,
            termination_grace_period_seconds=7,
        )
    )

    assert spec == AppSpec(
        class_name="Hello",
        alias="by-keyword",
        auth="public",
        endpoints=(EndpointSpec(name="hi", path="/", signature="() -> 'str'"),),
        scaling=Scaling(
            min_concurrency=1,
            max_concurrency=5,
            concurrency_buffer=2,
            concurrency_buffer_perc=50,
            scaling_delay=3,
            max_multiplexing=4,
            keep_alive=2.5,
            startup_timeout=60,
            request_timeout=30,
            termination_grace_period_seconds=7,
        ),
        machine_type=("GPU-H100", "GPU-H200"),
        num_gpus=2,
        requirements=("numpy", "torch", "pillow"),
    )
    assert AppSpec.from_json(spec.to_json()) == spec


def test_numbers_of_numpy_travel_as_plain_ones() -> None:
    spec = fal.describe(make(max_concurrency=np.int64(3), keep_alive=np.float64(1.5), num_gpus=np.int64(1)))

    assert [type(n) for n in (spec.scaling.max_concurrency, spec.scaling.keep_alive, spec.num_gpus)] == [
        int,
        float,
        int,
    ]


def test_whole_seconds_stay_whole() -> None:
    assert repr(fal.describe(make(keep_alive=5)).scaling.keep_alive) == "5"


# --- endpoints --------------------------------------------------------------------------------------------------------
def test_endpoints_are_described_in_source_order_with_signature_and_docstring() -> None:
    class Answer(BaseModel):
        text: str

    class Mine(fal.App):
        @fal.endpoint("/z")
        def a(self, prompt: str, steps: int = 30) -> Answer:
            """Generate.

            With care.
            """
            return Answer(text=prompt)

        @fal.endpoint("/a")
        async def z(self, input_data) -> None:  # type: ignore[no-untyped-def]
            ...

        @fal.endpoint("/ws", is_websocket=True)
        async def socket(self, websocket: Any) -> None: ...

    assert fal.describe(Mine).endpoints == (
        EndpointSpec(
            name="a",
            path="/z",
            signature="(prompt: 'str', steps: 'int' = 30) -> 'Answer'",
            doc="Generate.\n\nWith care.",
        ),
        EndpointSpec(name="z", path="/a", signature="(input_data) -> 'None'"),
        EndpointSpec(name="socket", path="/ws", signature="(websocket: 'Any') -> 'None'", protocol="websocket"),
    )


def test_a_class_own_endpoints_come_before_inherited_ones_and_an_override_counts_as_own() -> None:
    class Base(fal.App):
        @fal.endpoint("/z")
        def status(self) -> str: ...

        @fal.endpoint("/y")
        def replaced(self) -> str: ...

    class Mine(Base):
        @fal.endpoint("/x")
        def generate(self) -> str: ...

        @fal.endpoint("/b")
        def replaced(self) -> str: ...

        @fal.endpoint("/a")
        def again(self) -> str: ...

    assert [spec.path for spec in fal.describe(Mine).endpoints] == ["/x", "/b", "/a", "/z"]
    assert list(routes_of(Mine)) == ["/a", "/b", "/x", "/z"]  # what matches a request stays in the order of the paths


def test_a_signature_that_cannot_be_shown_does_not_stop_the_app() -> None:
    class Unreadable:
        def __repr__(self) -> str:
            raise ValueError("no")

    def odd(self: Any, value: Any = Unreadable()) -> None:  # noqa: B008
        ...

    assert fal.describe(make(odd=fal.endpoint("/odd")(odd))).endpoints[1].signature == "(...)"


def test_both_of_two_endpoints_on_one_path_are_named() -> None:
    with pytest.warns(fal.AppWarning):
        made = make(ho=fal.endpoint("/")(hi))

    assert [(spec.name, spec.path) for spec in fal.describe(made).endpoints] == [("hi", "/"), ("ho", "/")]


def test_a_class_without_endpoints_is_one_clear_sentence() -> None:
    class Mine(fal.App):
        def hi(self) -> str:
            return "hi"

    with pytest.raises(AppRuleBroken, match=r"^Mine has no endpoint, so there is nothing to serve") as caught:
        fal.describe(Mine)
    assert caught.value.hint == 'put @fal.endpoint("/") above a method of it'


def test_a_class_may_have_websockets_only() -> None:
    class Mine(fal.App):
        @fal.endpoint("/ws", is_websocket=True)
        async def socket(self, websocket: Any) -> None: ...

        @fal.realtime("/rt")
        def talk(self, given: dict) -> dict: ...  # type: ignore[type-arg]

    assert [(e.path, e.protocol) for e in fal.describe(Mine).endpoints] == [("/ws", "websocket"), ("/rt", "realtime")]


def test_fal_app_itself_and_what_is_no_app_are_refused_in_words() -> None:
    with pytest.raises(AppRuleBroken, match=r"^App has no endpoint"):
        fal.describe(fal.App)
    with pytest.raises(AppRuleBroken, match=r"^int is not a fal\.App subclass") as caught:
        fal.describe(int)
    assert "class Hello(fal.App)" in caught.value.hint
    with pytest.raises(AppRuleBroken, match=r"^'Hello' is not a fal\.App subclass"):
        fal.describe("Hello")  # type: ignore[arg-type]


# --- names ------------------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::fal_jupyter.fal.classes.notes.UglyName")
@pytest.mark.parametrize(
    ("class_name", "keyword", "variable", "alias"),
    [
        ("MyGoodApp", None, None, "my-good-app"),
        ("SDXL", None, None, "s-d-x-l"),
        ("Flux2Pro", None, None, "flux-pro"),
        ("mock_model", None, None, "mock-model"),
        ("Hello", "by-keyword", None, "by-keyword"),
        ("Hello", None, "by-variable", "by-variable"),
        ("Hello", "by-keyword", "by-variable", "by-variable"),
        ("Hello", "by-keyword", "", "by-keyword"),
        ("Hello", "", None, "hello"),
        ("Hello", None, "under_score-2", "under_score-2"),
    ],
)
def test_the_alias_is_the_variable_else_the_keyword_else_derived(
    class_name: str, keyword: str | None, variable: str | None, alias: str
) -> None:
    made = make(class_name, {"name": keyword} if keyword is not None else {}, app_name=variable)

    assert fal.describe(made).alias == made.app_name == alias
    assert fal.describe(made).class_name == class_name


def test_a_subclass_inherits_the_name_and_only_a_variable_changes_it() -> None:
    base = make(keywords={"name": "first"})
    meta = type(fal.App)

    assert fal.describe(meta("Plain", (base,), {})).alias == "first"
    assert fal.describe(meta("Named", (base,), {}, name="second")).alias == "first"
    assert fal.describe(meta("Own", (base,), {"app_name": "third"})).alias == "third"


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(AppRuleBroken, match=r"Hello: app_name must be a string, but it is 5 \(int\)"):
        make(keywords={"name": 5})


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Hello World", "hello-world"),
        ("ada/hello", "ada-hello"),
        ("-hello", "hello"),
        ("hello\n", "hello"),
        ("héllo", "h-llo"),
        ("../up", "up"),
        ("HELLO", "hello"),
    ],
)
def test_a_name_that_cannot_stand_in_an_address_is_refused_with_one_that_can(name: str, advice: str) -> None:
    made = make(app_name=name)

    with pytest.raises(AppRuleBroken, match=r"^Hello: the app's name .* is not valid in an address") as caught:
        fal.describe(made)
    assert repr(name) in str(caught.value)
    assert caught.value.hint == f'for example app_name = "{advice}" in the class'
    assert fal.describe(make(app_name=advice)).alias == advice


@pytest.mark.parametrize("class_name", ["_", "__"])
def test_a_class_name_without_letters_needs_a_name(class_name: str) -> None:
    with pytest.raises(AppRuleBroken, match=f"no name for the app can be derived from the class name '{class_name}'"):
        fal.describe(make(class_name))


def test_the_name_of_this_run_overrides_the_class_and_is_stricter() -> None:
    assert fal.describe(make(app_name="Hello World"), {"name": "mine-2"}).alias == "mine-2"
    for name in ("a_b", "Mine", "", "a b"):
        with pytest.raises(AppRuleBroken, match=r"^--name: .*cannot be the name of an app: .*letters a to z") as caught:
            fal.describe(make(), {"name": name})
        assert repr(name) in str(caught.value)
        assert "--name " in caught.value.hint


# --- who may call -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("written", "run", "auth"),
    [
        (None, None, "private"),
        ("private", None, "private"),
        ("public", None, "public"),
        ("shared", None, "shared"),
        ("public", "private", "private"),
        (None, "public", "public"),
        ("private", "shared", "shared"),
    ],
)
def test_access_is_set_in_the_class_or_for_this_run(written: Any, run: Any, auth: str) -> None:
    assert fal.describe(make(app_auth=written), {"auth": run}).auth == auth


def test_access_is_inherited() -> None:
    assert fal.describe(type(fal.App)("Sub", (make(app_auth="public"),), {})).auth == "public"


@pytest.mark.parametrize(
    ("given", "cors"),
    [
        (None, ()),
        ([], ()),
        ("http://localhost:3000", ("http://localhost:3000",)),
        (["https://A.example", "http://b.example"], ("https://a.example", "http://b.example")),
    ],
)
def test_cors_origins_can_be_set_for_one_run(given: Any, cors: tuple[str, ...]) -> None:
    spec = fal.describe(make(), {"cors": given})
    assert spec.cors == AppSpec.from_json(spec.to_json()).cors == cors


def test_a_cors_value_that_is_not_a_web_origin_is_refused_when_the_app_is_described() -> None:
    with pytest.raises(BadSetting, match=r"cors: '\*' is not a web origin"):
        fal.describe(make(), {"cors": "*"})


# --- warmth -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("keywords", "body", "run", "warm"),
    [
        ({}, {}, {}, 1),
        ({}, {}, {"warm": 0}, 0),
        ({}, {}, {"warm": 3}, 3),
        ({}, {}, {"warm": None}, 1),
        ({}, {"max_concurrency": 3, "max_multiplexing": 4, "scaling_delay": 1, "request_timeout": 5}, {}, 1),
        ({}, {"keep_alive": None, "min_concurrency": None}, {}, 1),
        ({}, {"keep_alive": 10}, {}, 0),
        ({}, {"keep_alive": 0}, {}, 0),
        ({}, {"min_concurrency": 0}, {}, 0),
        ({}, {"min_concurrency": 2}, {}, 0),
        ({"keep_alive": 60}, {}, {}, 0),
        ({"min_concurrency": 0}, {}, {}, 0),
        ({"keep_alive": None}, {}, {}, 1),
        ({}, {"host_kwargs": {"keep_alive": 60}}, {}, 0),
        ({}, {"host_kwargs": {"resolver": "pip"}}, {}, 1),
        ({}, {"keep_alive": 10}, {"warm": 1}, 1),
        ({}, {}, {"keep_alive": 5}, 0),
        ({}, {}, {"min_concurrency": 1}, 0),
        ({}, {}, {"keep_alive": 5, "warm": 2}, 2),
        ({}, {}, {"max_concurrency": 2, "max_multiplexing": 2}, 1),
    ],
)
def test_one_warm_runner_unless_keep_alive_or_min_concurrency_are_spoken_of(
    keywords: dict[str, Any], body: dict[str, Any], run: dict[str, Any], warm: int
) -> None:
    assert fal.describe(make("Hello", keywords, **body), run).scaling.warm == warm


def test_a_class_inherits_that_its_base_spoke_of_scaling() -> None:
    meta = type(fal.App)
    for base in (make(keep_alive=3), make(keywords={"keep_alive": 3}), make(host_kwargs={"keep_alive": 3})):
        scaling = fal.describe(meta("Sub", (meta("Middle", (base,), {}),), {})).scaling
        assert (scaling.warm, scaling.keep_alive) == (0, 3)
    assert fal.describe(meta("Sub", (make(),), {})).scaling.warm == 1


def test_a_class_with_scaling_options_gets_exactly_these() -> None:
    scaling = fal.describe(make(keep_alive=7, min_concurrency=2, max_concurrency=4)).scaling

    assert (scaling.keep_alive, scaling.min_concurrency, scaling.max_concurrency, scaling.warm) == (7, 2, 4, 0)
    assert scaling.floor == 2


def test_the_default_keep_alive_is_the_pages_not_the_sdks() -> None:
    assert make().host_kwargs["keep_alive"] == 60
    assert fal.describe(make()).scaling.keep_alive == 10
    assert fal.describe(make(min_concurrency=1)).scaling.keep_alive == 10
    assert fal.describe(make(host_kwargs={"keep_alive": 60})).scaling.keep_alive == 60


def test_a_variable_that_a_subclass_sets_back_to_none_still_holds() -> None:
    sub = type(fal.App)("Sub", (make(request_timeout=10),), {"request_timeout": None})

    assert fal.describe(sub).scaling.request_timeout == 10


# --- options of one run -----------------------------------------------------------------------------------------------
def test_the_options_of_a_run_stand_over_the_class_and_leave_it_as_it_is() -> None:
    made = make(keep_alive=5, min_concurrency=1, max_concurrency=2)

    run = {"keep_alive": 9, "min_concurrency": 3, "max_concurrency": 4, "max_multiplexing": 8, "warm": 2}
    scaling = fal.describe(made, run).scaling

    assert (scaling.keep_alive, scaling.min_concurrency, scaling.max_concurrency) == (9, 3, 4)
    assert (scaling.max_multiplexing, scaling.warm) == (8, 2)
    assert fal.describe(made).scaling.keep_alive == made.host_kwargs["keep_alive"] == 5


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"keep_alive": "x"}, "keep_alive must be a number of seconds, but it is 'x'"),
        ({"keep_alive": -1}, "keep_alive is -1, but it must be 0 or more"),
        ({"max_concurrency": 0}, "max_concurrency is 0, but it must be 1 or more"),
        ({"max_multiplexing": 1.5}, "max_multiplexing must be a whole number"),
        ({"warm": -1}, "warm is -1, but it must be 0 or more"),
        ({"warm": "1"}, "warm must be a whole number"),
        ({"auth": "secret"}, 'app_auth must be "private", "public", "shared"'),
        ({"name": 5}, "app_name must be a string"),
        ({"requirements": ["x"]}, "requirements cannot be set for one run"),
        ({"machine_type": "S"}, "machine_type cannot be set for one run"),
        ({"foo": 1}, "foo cannot be set for one run"),
        (
            {"min_concurrency": 5},
            "min_concurrency is 5 but max_concurrency is 3: the minimum cannot exceed the maximum",
        ),
    ],
)
def test_an_option_of_a_run_that_does_not_fit_is_refused_in_words(run: dict[str, Any], message: str) -> None:
    with pytest.raises(AppRuleBroken) as caught:
        fal.describe(make(max_concurrency=3), run)

    assert message in str(caught.value)


def test_a_minimum_over_the_default_maximum_is_refused_by_the_name_of_the_class_unless_the_run_raises_it() -> None:
    made = make(min_concurrency=20)

    with pytest.raises(AppRuleBroken, match=r"^Hello: min_concurrency is 20 but max_concurrency is 10: ") as caught:
        fal.describe(made)
    assert caught.value.hint == "raise max_concurrency to 20 or lower min_concurrency"
    assert fal.describe(made, {"max_concurrency": 20}).scaling.min_concurrency == 20


@pytest.mark.parametrize("long", ["class", "option"])
def test_a_name_that_no_file_can_have_is_refused_with_one_that_can(long: str) -> None:
    cls = make("C" + "x" * 200 if long == "class" else "Short")
    with pytest.raises(AppRuleBroken, match="128 characters at most") as caught:
        fal.describe(cls, {"name": "x" * 300} if long == "option" else None)
    assert "for example" in caught.value.hint


@pytest.mark.parametrize("way", ["variable", "keyword", "host_kwargs"])
def test_secrets_are_named_in_any_way_that_options_are(way: str) -> None:
    named: dict[str, Any] = {"secrets": ["TOK"]}
    made = {"variable": named, "keyword": {"keywords": named}, "host_kwargs": {"host_kwargs": named}}[way]
    assert fal.describe(make(**made)).secrets == ("TOK",)


def test_an_option_missing_in_replaced_host_kwargs_is_reported_to_have_no_effect() -> None:
    with pytest.warns(UserWarning, match="keep_alive has no effect: host_kwargs is replaced"):
        cls = make(host_kwargs={"resolver": "uv"}, keep_alive=300)
    assert "keep_alive" not in cls.host_kwargs


@pytest.mark.parametrize(
    ("body", "rules"),
    [
        ({}, RetryRules()),
        ({"skip_retry_conditions": ["TIMEOUT"]}, RetryRules(skip=("timeout",))),
        ({"retry_config": {"timeout": {"retries": -1}}}, RetryRules(budgets={"timeout": 0})),
        (
            {"retry_config": RetryConfig(server_error=3, timeout=0)},
            RetryRules(budgets={"timeout": 0, "server_error": 3}),
        ),
        ({"host_kwargs": {"retry_config": {"timeout": {"retries": 2}}}}, RetryRules(budgets={"timeout": 2})),
    ],
)
def test_the_retry_options_of_a_class_reach_the_gateway(body: dict[str, Any], rules: RetryRules) -> None:
    spec = fal.describe(make(**body))
    assert spec.retry == rules
    assert AppSpec.from_json(spec.to_json()) == spec


def test_a_retry_config_without_a_condition_is_refused() -> None:
    with pytest.raises(AppRuleBroken, match="RetryConfig must have at least one condition"):
        fal.describe(make(retry_config=RetryConfig()))


def test_about_is_the_root_endpoints_docstring_else_the_class_own() -> None:
    class Plain(fal.App):
        @fal.endpoint("/")
        def hi(self) -> None: ...

    class Own(Plain):
        """
        # Draws

        Well.
        """

    class Inherits(Own): ...

    class Root(Own):
        @fal.endpoint("/")
        def hi(self) -> None:
            """Says hi."""

    class Long(Plain):
        __doc__ = "x" * 9000

    assert fal.describe(Plain).about == ""
    assert fal.describe(Own).about == "# Draws\n\nWell."
    assert fal.describe(Inherits).about == "# Draws\n\nWell."
    assert fal.describe(Root).about == "Says hi."
    assert fal.describe(Long).about == "x" * 8000 + "\n…"
    assert Root(_allow_init=True).openapi()["info"]["description"] == "Says hi."
    assert "description" not in Plain(_allow_init=True).openapi()["info"]
    assert AppSpec.from_json(fal.describe(Root).to_json()).about == "Says hi."


def test_a_signature_has_the_names_of_fal_without_their_modules() -> None:
    from fal_jupyter.fal.toolkit import File, Image

    def tint(self: Any, image: Image, more: list[File], seed: int = 1) -> Image: ...

    tint.__annotations__ = {"image": Image, "more": list[File], "seed": int, "return": Image}
    described = fal.describe(make(tint=fal.endpoint("/tint")(tint)))

    assert described.endpoints[1].signature == "(image: Image, more: list[File], seed: int = 1) -> Image"


def test_a_file_is_shown_by_what_is_known_of_it_with_its_long_address_cut() -> None:
    from fal_jupyter.fal.toolkit import Image

    picture = Image(url="http://127.0.0.1:38371/cdn/files/" + "a" * 40 + "/sun.png", content_type="image/png")

    assert picture._repr_mimebundle_()["text/plain"] == (
        "Image(url='http://127.0.0.1:38371/cdn/fil…" + "a" * 22 + "/sun.png', content_type='image/png')"
    )
