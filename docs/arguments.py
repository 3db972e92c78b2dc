"""Lets the reference show our docstrings' paragraphs `name: meaning` as tables of arguments."""

import re

import griffe

PARAGRAPH = re.compile(r"(?:^[a-z_]+(?:, [a-z_]+)*: .*\n?(?:^ +.*\n?)*)+", re.MULTILINE)
ARGUMENT = re.compile(r"^([a-z_]+(?:, [a-z_]+)*): (.*(?:\n +.*)*)", re.MULTILINE)


class Arguments(griffe.Extension):
    """Reads them where the rest of the docstring is read, in Google's style."""

    def on_function(self, *, func: griffe.Function, **_: object) -> None:
        rewrite(func.docstring, {parameter.name for parameter in func.parameters})

    def on_class(self, *, cls: griffe.Class, **_: object) -> None:
        init = cls.members.get("__init__")
        if isinstance(init, griffe.Function):
            rewrite(cls.docstring, {parameter.name for parameter in init.parameters})


def rewrite(docstring: griffe.Docstring | None, parameters: set[str]) -> None:
    def section(paragraph: re.Match[str]) -> str:
        found = [(names.split(", "), said) for names, said in ARGUMENT.findall(paragraph[0])]
        if not all(parameters.issuperset(names) for names, _ in found):
            return paragraph[0]
        lines = [
            f"    {name}: {' '.join(said.split())}\n" for names, said in found for name in names
        ]
        return "Args:\n" + "".join(lines)

    if docstring:
        docstring.value = PARAGRAPH.sub(section, docstring.value)
