"""The command `orange-sms`: messages and campaigns, the account, receipts, and a sandbox."""

import logging
from typing import Annotated

import typer

from orange_sms_async import __version__
from orange_sms_async.cli import outbox
from orange_sms_async.cli.balance import balance
from orange_sms_async.cli.bulk import bulk
from orange_sms_async.cli.check import check
from orange_sms_async.cli.complaints import OneLine
from orange_sms_async.cli.delivery import delivery
from orange_sms_async.cli.demo import demo
from orange_sms_async.cli.migrate import migrate
from orange_sms_async.cli.move import move
from orange_sms_async.cli.place import OfOutbox
from orange_sms_async.cli.purchases import purchases
from orange_sms_async.cli.receipts import receipts
from orange_sms_async.cli.sandbox import sandbox
from orange_sms_async.cli.segments import segments
from orange_sms_async.cli.send import send
from orange_sms_async.cli.stdout import ends, goes_on
from orange_sms_async.cli.usage import usage
from orange_sms_async.cli.work import work

# A command says on its own screen what a queue waits for.
logging.getLogger("orange_sms_async.sendqueue").addHandler(logging.NullHandler())

app = typer.Typer(
    cls=OneLine,
    help="Send SMS through Orange's API for Africa and the Middle East.",
    no_args_is_help=True,
    # A traceback that shows locals shows numbers, texts and secrets; plain help and one-line
    # errors also read the same on every terminal and in a pipe.
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
)
_outbox = typer.Typer(help=outbox.HELP, no_args_is_help=True, rich_markup_mode=None)
_outbox.command(cls=OfOutbox)(ends()(outbox.show))
_outbox.command(cls=OfOutbox)(ends()(delivery))
_outbox.command(cls=OfOutbox)(goes_on()(outbox.resolve))
_outbox.command(cls=OfOutbox)(goes_on()(outbox.export))
_outbox.command(name="import", cls=OfOutbox)(goes_on()(outbox.import_))
_outbox.command(cls=OfOutbox)(goes_on()(outbox.forget))
_outbox.command(cls=OfOutbox)(goes_on()(outbox.backup))
_outbox.command(cls=OfOutbox)(goes_on()(outbox.restore))
_outbox.command()(goes_on()(migrate))
_outbox.command()(goes_on()(move))


def _show_version(*, given: bool) -> None:
    if given:
        typer.echo(f"orange-sms {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    lang: Annotated[
        str | None,
        typer.Option(metavar="en|fr", help="Language of help and messages. Default: the locale's."),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda given: _show_version(given=given),
            is_eager=True,
            help="Show the version.",
        ),
    ] = False,
) -> None:
    """Send SMS through Orange's API for Africa and the Middle East."""


app.command()(goes_on()(send))
app.command()(ends()(segments))
app.command()(goes_on()(check))
app.command()(goes_on()(bulk))
app.command(cls=OfOutbox)(goes_on()(work))
app.add_typer(_outbox, name="outbox")
app.command()(goes_on()(receipts))
app.command()(ends()(balance))
app.command()(ends()(usage))
app.command()(ends()(purchases))
app.command()(goes_on()(sandbox))
app.command()(goes_on()(demo))
