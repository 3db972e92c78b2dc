"""`python -m orange_sms_async.cli` is `orange-sms`."""

from orange_sms_async.cli.commands import app

app(prog_name="orange-sms")
