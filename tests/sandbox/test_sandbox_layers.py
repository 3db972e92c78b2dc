"""Which module of the sandbox may know which."""

import ast
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from orange_sms_async import sandbox

ROOM = Path(sandbox.__file__).parent
NAME = sandbox.__name__

# Imports go up this list only; `state_file` keeps a whole sandbox.
LAYERS = ["settings", "orange", "control", "sandbox", "seed_file", "state_file", "server", ""]


def dotted(path):
    names = path.relative_to(ROOM).with_suffix("").parts
    return ".".join((NAME, *(name for name in names if name != "__init__")))


MODULES = {dotted(path): path for path in sorted(ROOM.rglob("*.py"))}


def imported_by(module):
    """Name the modules of ours that one imports, wherever in it, for type checkers also."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


GRAPH = {
    module: {name for name in imported_by(module) if name.startswith("orange_sms_async")}
    for module in MODULES
}


def layer(module):
    return LAYERS.index(module.removeprefix(NAME).lstrip(".").partition(".")[0])


@pytest.mark.parametrize("module", MODULES)
def test_a_module_knows_its_own_layer_and_those_below(module):
    """
    Orange knows of no page, the page's API of no sandbox, and nothing of the rest of the library.
    """
    assert GRAPH[module] <= MODULES.keys()
    assert all(layer(name) <= layer(module) for name in GRAPH[module])


def test_no_module_waits_for_itself():
    """
    There is no circle, not even one that only type checkers walk.
    """
    assert {*MODULES} == {*TopologicalSorter(GRAPH).static_order()}


def test_only_the_sandbox_puts_orange_and_the_page_together():
    """
    Whatever is above both is either it, or imports it.
    """
    (whole,) = (name for name in MODULES if f"{NAME}.control.app" in GRAPH[name])

    assert f"{NAME}.sandbox" == whole
    assert f"{NAME}.orange.api" in GRAPH[whole]


def test_a_name_stands_for_one_module():
    """
    A stranger who looks for a file by its name finds one.
    """
    names = Counter(path.stem for path in MODULES.values() if path.stem != "__init__")

    assert 1 == max(names.values())
