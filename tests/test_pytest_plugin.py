"""The pytest plugin, as it is found by people's own runs of pytest."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "sandbox.md"
SECTION = PAGE.read_text().split("## In your tests: the pytest plugin")[1].split("\n## ")[0]
EXAMPLE, ANYIO = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)

STRICT = """
[pytest]
filterwarnings = error
asyncio_default_fixture_loop_scope = function
"""
HALF_AN_HOUR = """
import asyncio
async def test_half_an_hour(orange_clock):
    began = orange_clock.time()
    await asyncio.sleep(1800)
    assert 1800 < orange_clock.time() - began < 1801
"""


@pytest.fixture
def run(pytester):
    """Run pytest in a process of its own, on what a person wrote."""

    def run(*options, ini=STRICT, **files):
        pytester.makeini(ini)
        pytester.makepyfile(**files)
        return pytester.runpytest_subprocess(*options)

    return run


@pytest.mark.parametrize("options", [(), ("--asyncio-mode=auto",), ("-n", "2")], ids=" ".join)
def test_the_documented_example(run, options):
    """
    Pasted from the page it passes: in either mode, in parallel, with warnings as errors.
    """
    result = run(*options, test_reminders=EXAMPLE)

    result.assert_outcomes(passed=EXAMPLE.count("def test_"))


def test_with_anyio(run):
    """
    With the fixture that the page shows, anyio's own plugin runs on the clock, too.
    """
    marked = f"{HALF_AN_HOUR}\nimport pytest\npytestmark = pytest.mark.anyio"

    result = run("-p", "no:asyncio", ini="[pytest]", conftest=ANYIO, test_it=marked)

    result.assert_outcomes(passed=1)


def test_nobody_else_notices(run):
    """
    Where one test asks for the clock, the others have no parameter and a loop in real time.
    """
    others = """
import asyncio, sys
async def test_other(request):
    assert not hasattr(request.node, "callspec")
    assert isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)
    assert "Jumping" not in type(asyncio.get_running_loop()).__name__
"""

    result = run("--asyncio-mode=auto", test_a=HALF_AN_HOUR, test_b=others, test_c=HALF_AN_HOUR)

    result.assert_outcomes(passed=3)


def test_a_loop_of_the_users_own(run):
    """
    Who chooses loops by pytest-asyncio's hook keeps them, but for the tests that ask for the clock.
    """
    hook = """
import asyncio
class Own(asyncio.SelectorEventLoop): pass
def pytest_asyncio_loop_factories(config, item):
    return {"own": Own}
"""
    other = "import asyncio\nasync def test_it(): assert 'Own' in str(asyncio.get_running_loop())"

    result = run("--asyncio-mode=auto", conftest=hook, test_a=HALF_AN_HOUR, test_b=other)

    result.assert_outcomes(passed=2)


def test_a_clock_for_each_test(run):
    """
    Of a test with parameters each run starts its own loop, and time only goes forward.
    """
    many = HALF_AN_HOUR.replace("async def", "@pytest.mark.parametrize('n', [1, 2])\nasync def")
    many = f"import pytest\n{many.replace('(orange_clock)', '(orange_clock, n)')}"

    result = run("--asyncio-mode=auto", test_it=many)

    result.assert_outcomes(passed=2)


def test_settings_for_one_test(run):
    """
    pytest's own way to set a fixture for one test sets the sandbox's arguments.
    """
    test = """
import pytest
from orange_sms_async import OutboundMessage
@pytest.mark.parametrize("orange_sandbox_settings", [{"rate": None}])
async def test_it(orange_client, orange_sandbox):
    for _ in range(20):
        await orange_client.send(OutboundMessage("+2250701020304", "Bonjour"))
    assert 20 == len(orange_sandbox.sent)
"""

    result = run("--asyncio-mode=auto", test_it=test)

    result.assert_outcomes(passed=1)


def test_unused_it_is_not_felt(run):
    """
    A run that asks for none of the fixtures imports nothing of ours and no web server.
    """
    looks = """
import sys
def pytest_unconfigure(config):
    heavy = {"orange_sms_async", "httpx", "starlette", "uvicorn", "attrs", "cattrs"}
    print("imported:", *heavy & set(sys.modules))
"""

    result = run("-p", "no:respx", conftest=looks, test_it="def test_it(): pass")

    result.assert_outcomes(passed=1)
    assert "imported:" in [line.strip() for line in result.outlines]


def test_without_pytest_asyncio(run):
    """
    The clock says what an async test needs; whoever does not ask for it needs nothing.
    """
    other = "def test_it(orange_client, orange_sandbox_url): assert 'http' in orange_sandbox_url"

    result = run("-p", "no:asyncio", ini="[pytest]", test_a=HALF_AN_HOUR, test_b=other)

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*orange_clock: an `async def` test needs pytest-asyncio 1.4*"])


@pytest.mark.parametrize(
    ("missing", "fixture"), [("starlette", "orange_client"), ("uvicorn", "orange_sandbox_url")]
)
def test_without_the_extra(run, missing, fixture):
    """
    Where the sandbox's extra is not installed, one line says how to install it.
    """
    conftest = f"import sys\nsys.modules[{missing!r}] = None"

    result = run(conftest=conftest, test_it=f"def test_it({fixture}): pass")

    result.assert_outcomes(errors=1)
    assert "the sandbox needs: pip install 'orange-sms-async[sandbox]'" in result.outlines


def test_more_tests_in_a_minute_than_an_account_may_have_tokens(run):
    """
    Each test's sandbox is an account of its own.
    """
    tests = """
    import pytest
    from orange_sms_async import OutboundMessage

    @pytest.mark.asyncio
    @pytest.mark.parametrize("number", range(60))
    async def test_it(orange_client, number):
        await orange_client.send(OutboundMessage("+2250701020304", str(number)))
    """

    run(test_it=tests).assert_outcomes(passed=60)
