"""The command speaks French where the locale does, and keeps up with what it says in English."""

import ast
import re
import string
from pathlib import Path

import pytest
import typer
from cli.served import environment

import orange_sms_async
from orange_sms_async.cli.commands import app
from orange_sms_async.cli.words import french, help_key, in_french, number, speaking

GOOD = "+2250700000001"
PACKAGE = Path(orange_sms_async.__file__).parent


def explained(command, path=""):
    """Yield the names under which fr.json explains a command, its options and those in it."""
    yield {path}
    for parameter in command.params:
        if getattr(parameter, "help", None) and not getattr(parameter, "hidden", False):
            yield {f"{path} {help_key(parameter)}".strip(), help_key(parameter)}
    for name, inner in getattr(command, "commands", {}).items():
        yield from explained(inner, f"{path} {name}".strip())


def test_every_command_and_option_has_its_help_in_french():
    names = list(explained(typer.main.get_command(app)))
    texts = french()["help"].keys()

    assert [] == [sorted(one) for one in names if not one & texts]
    assert set() == texts - set().union(*names) - {"--help"}


def constants():
    """Return all text of the package, and of what it is built on, that can be said."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


# Said by typer or the system, named by a counter, or put together of pieces with no hole between.
OF_OTHERS = re.compile(
    r"Missing (argument|command)|No such|Option '|Permission|Is a dir|Address already|No space"
    r"|Cannot assign|digits|seven or|^[01] |HTTPS_PROXY|or damaged|expired on|Nothing was sent"
    r"|more than|but a file|^(file|path) \{|does not take"
    r"|^(not (found|kept)|wrong method|too (slow|large))$|^\{|^  |^\.\.\."
)


def test_no_french_is_left_of_a_sentence_that_has_changed():
    """
    Each piece between the holes of a sentence is still somewhere in the package.
    """
    said = "\n".join(constants())
    changed = [
        (english, piece)
        for english in french()["said"]
        if not OF_OTHERS.search(english)
        for piece in re.split(r"\{\w+\}|: ", english)
        if len(piece) > 3 and piece.strip(" .:") not in said
    ]

    assert [] == changed


def test_french_names_nothing_that_the_english_does_not():
    for english, translated in french()["said"].items():
        holes = re.compile(r"\{(\w+)\}")
        assert {*holes.findall(translated)} <= {*holes.findall(english)}, english


def test_french_is_typeset():
    """
    No ordinary space before a mark that takes one of its own, no straight apostrophe.
    """
    wrong = re.compile(r"\w [:;!?»]|« |[a-zA-Zé]'[a-zéèêà]")
    texts = [*french()["help"].values(), *french()["said"].values()]

    assert [] == [text for text in texts if wrong.search(text)]


@pytest.mark.parametrize(
    ("english", "expected"),
    [
        ("Error: --rate: a whole number.", "Erreur\u00a0: --rate: a whole number."),
        ("3 rows: 1 accepted, 2 invalid.", "3 lignes\u00a0: 1 acceptée, 2 invalides."),
        (
            "1,200 x to: write it as +2250701020304: a + first, no spaces",
            (
                "1\u202f200 x to\u00a0: écrivez-le comme +2250701020304\u00a0: "
                "un + au début, sans espaces"
            ),
        ),
        ("1 row: 1 accepted.", "1 ligne\u00a0: 1 acceptée."),
        ("--hours holds back 1 row until 8:00", "--hours retient 1 ligne jusqu’au 8:00"),
        ("path 'x' is not readable", "accès refusé, en lecture\u00a0: 'x'"),
        ("path 'x' is not writable", "accès refusé, en écriture\u00a0: 'x'"),
        (
            "s.csv: line 1: names no column to, number or hash",
            "s.csv\u00a0: ligne 1\u00a0: ne nomme aucune colonne to, number ou hash",
        ),
        (
            "gave up: no connection to x. Try again.",
            "abandon\u00a0: pas de connexion à x. Réessayez.",
        ),
        (
            "2 receipts, 2 DeliveredToTerminal, 3 refused (not found)",
            (
                "2 accusés de réception, 2 DeliveredToTerminal, "
                "3 refusés (mauvais secret ou mauvaise source)"
            ),
        ),
        ("nothing that is known", "nothing that is known"),
    ],
)
def test_a_sentence_is_found_again(english, expected):
    """
    Numbers keep their place, and what is not known stays as it is.
    """
    assert expected == in_french(english)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("4,350 XOF", "4\u202f350\u00a0XOF"),
        ("1,234,567.50 MGA", "1\u202f234\u202f567,50\u00a0MGA"),
        ("1,200", "1\u202f200"),
        ("2.5", "2,5"),
        ("10.0.0.1", "10.0.0.1"),
        ("CIV SMS_OCB", "CIV SMS_OCB"),
    ],
)
def test_numbers_of_a_table_are_french(cell, expected):
    with speaking("fr"):
        assert expected == number(cell)
    assert cell == number(cell)


def test_a_price_is_french(invoke):
    said = invoke("--lang", "fr", "purchases", "--country", "CIV").stdout

    assert "1\u202f450\u00a0XOF" in said  # of two bundles


@pytest.mark.parametrize(
    ("locale", "asked", "expected"),
    [
        ("LC_ALL=fr_CI.UTF-8", "", "2 lignes"),
        ("LANGUAGE=fr:en", "", "2 lignes"),
        ("LC_ALL=C.UTF-8", "--lang fr", "2 lignes"),
        ("LC_ALL=fr_FR.UTF-8", "--lang=en", "2 rows"),
        ("LC_ALL=pt_PT.UTF-8", "", "2 rows"),
    ],
)
def test_a_campaign_in_the_language_of_the_locale(invoke, rows_file, locale, asked, expected):
    """
    The screen speaks it; the results, which programs read, stay as they are.
    """
    path = rows_file(f"to,text\n{GOOD},Bonjour\n07 00,x\n")

    ended = invoke("bulk", path, "--rate", "off", *asked.split(), locale=locale)

    assert 1 == ended.exit_code
    assert expected in ended.stdout
    assert ",invalid," in path.with_suffix(".results.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize("command", ["", "bulk", "outbox", "outbox show", "send", "sandbox"])
def test_help_is_french(invoke, command):
    said = invoke("--lang", "fr", *command.split(), "--help").output

    assert said.startswith("Utilisation\u00a0:")
    assert "Afficher cette aide." in said
    assert not re.search(r"\b(the|with|and|of)\b", said)


def paths(command, path=""):
    """Yield the words that call a command, and each command in it."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, f"{path} {name}".strip())


@pytest.mark.parametrize("command", [*paths(typer.main.get_command(app))])
def test_what_is_known_of_an_option_is_said_in_french(invoke, command):
    """
    Its default, its variable, and that it is required.
    """
    said = invoke("--lang", "fr", *command.split(), "--help").output

    assert not re.search(r"\[[^]]*(\b(default|env\s+var):|\brequired\b|\w;)", said)


MISTAKES = {
    "bulk": "il manque FILE.csv",
    "bulk nowhere.csv": "impossible de lire nowhere.csv\u00a0: fichier introuvable",
    "bulk x.csv --rate fast": "--rate\u00a0: un nombre de 0.0001",
    "send 07 x": "TO\u00a0: un numéro international",
    "send +22507010203 x": "TO\u00a0: un numéro de Côte d'Ivoire a dix chiffres depuis 2021",
    "sent": "commande inconnue\u00a0: sent",
    "balance --country FRA": "--country\u00a0: un pays d’Orange",
    "--lang de": "--lang\u00a0: en ou fr",
    "outbox migrate sms.db": "DSN\u00a0: doit commencer par postgresql://",
    "outbox migrate postgresql://127.0.0.1:9/x": "compte default\u00a0: pas de connexion",
    "outbox migrate postgresql://127.0.0.1:9/x --rate 0": "--rate\u00a0: un nombre de messages",
    "outbox move nowhere.db postgresql:///x": "le fichier 'nowhere.db' n’existe pas",
    "outbox migrate postgresql://127.0.0.1:9/x --rate x": "--rate\u00a0: un nombre. Voir",
    "outbox migrate postgresql://127.0.0.1:9/x --account=": "--account\u00a0: un nom",
    "outbox migrate postgresql://127.0.0.1:x/x": "le DSN est illisible",
    "outbox move . postgresql:///x": "'.' est un dossier, pas un fichier",
    "outbox backup postgresql:///x c.db": "SMS.db\u00a0: il faut un fichier",
    "outbox resolve c.db r --sent u --not-sent": "--sent, --not-sent\u00a0: l’un ou l’autre",
    "outbox resolve c.db r --sent=": "--sent\u00a0: ne peut pas être vide",
    "send +2250701020304 x --wait": "Voir `orange-sms send --help`",
    "send +2250701020304 x --on-net=1": "--on-net ne prend pas de valeur. Voir `orange-sms send",
    "outbox show c.db --state": "Voir `orange-sms outbox show --help`",
    "sandbox --port 0 --data .": ".\u00a0: c’est un dossier",
    "work c.db --account a": "il faut postgresql://… Voir",
    "outbox show mysql://x": "doit être un fichier, ou commencer par postgresql://",
    "receipts --secret a/b": "--secret\u00a0: un texte non vide",
    "sandbox --seed nowhere.json": "impossible de lire nowhere.json\u00a0: fichier introuvable",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_in_french(run, mistake, sandbox):
    """
    What, where, and the way out.
    """
    ended = run(*mistake.split(), settings=sandbox.environment | {"LC_ALL": "fr_SN.UTF-8"})

    assert 2 == ended.returncode
    assert ended.stderr.startswith("Erreur\u00a0: ")
    assert MISTAKES[mistake] in ended.stderr
    assert 1 == ended.stderr.count("\n")


def test_tests_speak_english():
    """
    Whatever the locale of the one who runs them.
    """
    assert "C.UTF-8" == environment()["LC_ALL"]
    assert string.ascii_letters == in_french(string.ascii_letters)
