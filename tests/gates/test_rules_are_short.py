"""A rule is read in one look."""

import ast
import inspect

import pytest

from orange_sms_async import gates

RULES = [gates.Hours, gates.Suppression, gates.PerRecipient, gates.Budget]


@pytest.mark.parametrize("rule", RULES)
def test_at_most_forty_lines(rule):
    """
    Docstrings and empty lines apart.
    """
    tree = ast.parse(inspect.getsource(rule))
    for node in ast.walk(tree):
        kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]

    assert 40 >= len(list(filter(None, ast.unparse(tree).splitlines())))
