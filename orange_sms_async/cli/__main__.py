"""`orange-sms`, also run as `python -m orange_sms_async.cli`."""

import io
import sys
from importlib.util import find_spec

_LATER = ("starlette", "uvicorn")  # loaded only by the commands that serve


def main() -> None:
    """Run a command, or say what to install first."""
    try:
        _check_installed()
        from orange_sms_async.cli.commands import app  # noqa: PLC0415 -- the extra may be missing
    except ModuleNotFoundError as error:
        missing = (error.name or "more").partition(".")[0]
        sys.stderr.write(f"Error: {missing} is missing: pip install 'orange-sms-async[cli]'\n")
        sys.exit(2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As for stderr: a character that the encoding lacks must not end a campaign.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="orange-sms")
    except SystemExit as end:
        # The reader of the help has gone, and Typer ends with 1. Commands handle their own output.
        if isinstance(end.__context__, BrokenPipeError):
            sys.exit(0)
        raise


def _check_installed() -> None:
    for name in _LATER:
        if find_spec(name) is None:
            raise ModuleNotFoundError(name=name)


if __name__ == "__main__":
    main()
