"""
Writes what assistants read: llms.txt, a line for each page, and llms-full.txt, all English pages.

The form is that of llmstxt.org. What the reference only names is written out.
"""

import enum
import inspect
import pydoc
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

SITE = yaml.safe_load((Path(__file__).parents[1] / "mkdocs.yml").read_text("utf-8"))
# A line for each page of the navigation. It is also the description of the page.
ABOUT = {
    "index.md": "What the package does, a first program, and what an error means.",
    "start.md": "A first SMS to the sandbox, an account with Orange, and a first SMS to a phone.",
    "web.md": "One outbox for all workers of FastAPI, Django, Flask and others, ASGI or WSGI.",
    "campaigns.md": "A CSV file of people: check it, send it, resume it, read the results.",
    "rules.md": "Rules: hours, opt-outs, limits per person, units; one-time codes, campaigns.",
    "errors.md": "Every error: whether the SMS was sent, whether to send it again, what to do.",
    "account.md": "Contracts, usage statistics and purchase orders of the account.",
    "segments.md": "How many SMS a text takes, in GSM-7 and UCS-2, and how long they take to send.",
    "receipts.md": "The endpoint for delivery receipts, how to await them, and its secret.",
    "outbox.md": "Messages in an SQLite file: crashes, references, many processes, copies, damage.",
    "fleet.md": "Messages in PostgreSQL: many machines, and submitting inside a transaction.",
    "monitoring.md": "Prometheus metrics, alerts and a Grafana dashboard, OpenTelemetry, logging.",
    "sandbox.md": "Orange's API simulated: its page, faults and receipts, and the pytest plugin.",
    "pacing.md": "How a queue keeps to 5 messages a second, why nothing leaves, priorities.",
    "security.md": "Which secrets and personal data are kept where, and who can read them.",
    "why.md": "The path of a message through the code, and the reasons for the design.",
    "measured.md": "Throughput, waiting times and costs, as measured.",
    "benchmarks.md": "What each benchmark measures, and what it does not.",
    "commands.md": "Every command of orange-sms, with its options and exit codes.",
    "reference.md": "Every public class, function, error and event.",
    "changelog.md": "What changed in each version.",
    "contributing.md": "How the code, its tests and its documentation are written.",
    "fr/index.md": "Ce que fait le paquet, un premier programme, ce que signifie une erreur.",
    "fr/start.md": "Un premier SMS au simulateur, un compte chez Orange, un SMS à un téléphone.",
    "fr/web.md": "Une boîte d’envoi pour tous les processus d’une application web.",
    "fr/campaigns.md": "Un fichier CSV de destinataires : vérifier, envoyer, lire les résultats.",
    "fr/rules.md": "Horaires, listes de refus, limites par personne, unités, avant chaque départ.",
    "fr/errors.md": "Chaque erreur : si le SMS est parti, s’il faut le renvoyer, que faire.",
    "fr/receipts.md": "Le point d’entrée des accusés de réception, leur attente, leur secret.",
    "fr/outbox.md": "Les messages dans un fichier SQLite : pannes, références, copies, dégâts.",
    "fr/fleet.md": "Les messages dans PostgreSQL, pour plusieurs machines.",
    "fr/monitoring.md": "Prometheus, OpenTelemetry et les journaux.",
}
NAMED = re.compile(r"^::: (\S+)\n(?:    .*\n)*", re.MULTILINE)
MODULES = re.compile(r"(?:[a-z_]+\.)+(?=[A-Z])")


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write both, in the order of the navigation."""
    head = f"# {SITE['site_name']}\n\n> {SITE['site_description']}\n"
    whole = "All English pages are in [llms-full.txt](llms-full.txt).\n"
    lines, full = [head, whole], [head]
    for section, pages in sections():
        lines.append(f"## {section}\n")
        lines += [f"- [{title}]({uri[:-3]}.html): {ABOUT[uri]}" for title, uri in pages]
        lines.append("")
        full += [texts[uri] for _, uri in pages if not uri.startswith("fr/")]
    (folder / "llms.txt").write_text("\n".join(lines), "utf-8")
    all_of_it = NAMED.sub(lambda named: "\n".join(written_out(named[1])), "\n".join(full))
    (folder / "llms-full.txt").write_text(all_of_it, "utf-8")


def sections() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each section of the navigation with the titles and places of its pages."""
    entries = [item for entry in SITE["nav"] for item in entry.items()]
    yield "Start", [(title, uri) for title, uri in entries if isinstance(uri, str)]
    for section, pages in entries:
        if not isinstance(pages, str):
            yield section, [item for page in pages for item in page.items()]


def written_out(name: str) -> Iterator[str]:
    """Yield the signature and the docstring of what has that name, and of what is in it."""
    found: Any = pydoc.locate(name)
    yield from documented(name, found)
    if inspect.isclass(found) and not issubclass(found, enum.Enum):
        for member, value in vars(found).items():
            if not member.startswith("_") and inspect.getdoc(value):
                yield from documented(f"{found.__name__}.{member}", getattr(found, member))


def documented(name: str, found: object) -> Iterator[str]:
    signature = ""
    if inspect.isroutine(found) or (inspect.isclass(found) and not issubclass(found, enum.Enum)):
        signature = MODULES.sub("", str(inspect.signature(found)))
    yield f"### `{name}{signature}`\n"
    yield f"{inspect.getdoc(found)}\n"
