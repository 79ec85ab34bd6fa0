"""What installers are called with, and what is made of their output."""

from __future__ import annotations

import pytest

from fal_jupyter.environments.installers import Installer, is_chatter, plain, reason, uv_variables, variables_for

PIP = """:env:.find-links='/wheels'
:env:.disable-pip-version-check='1'
global.index-url='https://user:pass@mirror.test/simple'
global.extra-index-url='file:///a/simple file:///b/simple'
global.constraint='/etc/constraints.txt'
global.cert='/etc/ssl/ca.crt'
install.find-links='/more /wheels'
freeze.timeout='10'
global.nonsense=broken
"""


def test_pips_settings_are_handed_to_uv() -> None:
    assert uv_variables(PIP, {}) == {
        "UV_DEFAULT_INDEX": "https://user:pass@mirror.test/simple",
        "UV_EXTRA_INDEX_URL": "file:///a/simple file:///b/simple",
        "UV_CONSTRAINT": "/etc/constraints.txt",
        "SSL_CERT_FILE": "/etc/ssl/ca.crt",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_uvs_own_variables_take_precedence() -> None:
    own_variables = {"UV_DEFAULT_INDEX": "https://mine.test", "UV_INDEX_STRATEGY": "first-index"}

    assert not {"UV_DEFAULT_INDEX", "UV_INDEX_STRATEGY"} & uv_variables(PIP, own_variables).keys()
    assert uv_variables("", {}) == {}


@pytest.mark.parametrize(
    ("installer", "output", "expected"),
    [
        (
            "uv",
            (
                "Using Python 3.11.7 environment at: /x\nerror: No solution found when resolving dependencies\n"
                "  cause: Because a==1 depends on b<2 and you require a==1, we can conclude that you require b<2.\n"
                "         And because you require b==3, we can conclude that your requirements are unsatisfiable.\n"
            ),
            (
                "Because a==1 depends on b<2 and you require a==1, we can conclude that you require b<2. "
                "And because you require b==3, we can conclude that your requirements are unsatisfiable."
            ),
        ),
        (
            "uv",
            (
                "  × No solution found when resolving dependencies:\n  ╰─▶ Because only a<=2 is available and you require a==3,\n"
                "      we can conclude that your requirements are unsatisfiable.\n"
            ),
            "Because only a<=2 is available and you require a==3, we can conclude that your requirements are unsatisfiable.",
        ),
        (
            "uv",
            (
                "error: Couldn't parse requirement in `envs/x/requirements.txt` at position 0\n"
                "  cause: Unexpected end of version specifier\n         foo==\n            ^^\n"
            ),
            "Couldn't parse requirement Unexpected end of version specifier foo== ^^",
        ),
        (
            "pip",
            (
                "Collecting a==3\nERROR: Could not find a version that satisfies the requirement a==3 (from versions: 1, 2)\n"
                "ERROR: No matching distribution found for a==3\n"
            ),
            "Could not find a version that satisfies the requirement a==3 (from versions: 1, 2)",
        ),
        (
            "pip",
            (
                "ERROR: Cannot install a==1 and b==3 because these package versions have conflicting dependencies.\n\n"
                "The conflict is caused by:\n    The user requested b==3\n    a 1 depends on b<2\n\nTo fix this you could try to:\n"
                "ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/\n"
            ),
            (
                "Cannot install a==1 and b==3 because these package versions have conflicting dependencies.; "
                "The user requested b==3; a 1 depends on b<2"
            ),
        ),
        ("pip", "", ""),
        ("uv", "killed", "killed"),
    ],
)
def test_the_reason_is_one_line_in_the_installers_own_words(installer: str, output: str, expected: str) -> None:
    assert reason(output, installer) == expected


def test_nothing_of_the_user_leads_an_installer_elsewhere_or_colours_its_words() -> None:
    given = {"PATH": "/bin", "PIP_TARGET": "/t", "UV_TARGET": "/t", "FORCE_COLOR": "1", "PIP_INDEX_URL": "x"}
    for installer in (Installer("uv", ()), Installer("pip", ())):
        ours = variables_for(installer, given)
        assert {"PATH", "PIP_INDEX_URL"} == ours.keys() & given.keys()
        assert ours["NO_COLOR"] == "1"
    assert plain("\x1b[1m\x1b[31merror\x1b[39m\x1b[0m: no") == "error: no"


def test_advice_for_a_shell_is_not_shown() -> None:
    assert is_chatter("Activate with: source x/bin/activate")
    assert not is_chatter(" + tiny==1.0")
