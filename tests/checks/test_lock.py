"""The lock answers every requirement of pyproject.toml and names no address."""

import pytest

from tests.tools.check_lock import problems

PYPROJECT = {
    "build-system": {"requires": ["hatchling==1.33.0"]},
    "project": {
        "name": "imageedit",
        "dependencies": ["grpcio>=1.85.1,<2"],
        "optional-dependencies": {"server": ["imageedit[cli]", "uvloop>=0.23; sys_platform != 'win32'"]},
    },
    "dependency-groups": {"dev": ["pytest_asyncio>=1.5"]},
}
LOCK = """\
grpcio==1.85.1 \\
    --hash=sha256:00
hatchling==1.33.0 \\
    --hash=sha256:00
pytest-asyncio==1.5.0 \\
    --hash=sha256:00
uvloop==0.23.0 ; sys_platform != 'win32' \\
    --hash=sha256:00
"""


def test_a_lock_that_answers_all_has_no_problem():
    assert list(problems(PYPROJECT, LOCK)) == []


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("uvloop==", "other==", "uvloop is in pyproject.toml but not in requirements.lock"),
        ("hatchling==1.33.0", "hatchling==1.32.0", "hatchling==1.33.0 is asked for, but"),
        ("grpcio==", "--index-url https://index.test/\ngrpcio==", "requirements.lock must name no"),
        ("grpcio==1.85.1", "grpcio @ https://index.test/grpcio.whl", "requirements.lock must name no"),
    ],
    ids=["absent", "outgrown", "index", "direct"],
)
def test_each_problem_is_said(before, after, problem):
    assert any(said.startswith(problem) for said in problems(PYPROJECT, LOCK.replace(before, after, 1)))
