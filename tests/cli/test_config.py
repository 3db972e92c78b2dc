"""The account of the command line: in the environment, or in the user's own file."""

import pytest

from orange_sms_async import Client
from orange_sms_async.cli import config

FILE = 'client_id = "sandbox"\nclient_secret = "sandbox"\n'


@pytest.fixture
def config_file(tmp_path):
    """Write the file of settings."""

    def config_file(text, *, mode=0o600):
        path = tmp_path / "orange-sms" / "config.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="latin-1")
        path.chmod(mode)
        return path

    return config_file


@pytest.fixture
def home(tmp_path):
    return {"XDG_CONFIG_HOME": str(tmp_path)}


@pytest.mark.parametrize("secret", [FILE, 'authorization = "Basic c2FuZGJveDpzYW5kYm94"\n'])
def test_a_file_is_all_it_takes(invoke, config_file, home, sandbox, secret):
    """
    Nothing is in the environment, and Orange answers.
    """
    config_file(f'{secret}base_url = "{sandbox.url}"\n')

    ended = invoke("balance", "--country", "CIV", settings=home)

    assert 0 == ended.exit_code
    assert "CIV" in ended.stdout


def test_the_environment_wins(invoke, config_file, home, sandbox):
    """
    Its credentials go to its address, never to that of the file; an address alone replaces one.
    """
    config_file(f'{FILE}base_url = "http://127.0.0.1:9"\n')
    whole = invoke("balance", settings=home | sandbox.environment)
    address = invoke("balance", settings=home | {"ORANGE_SMS_BASE_URL": sandbox.url})

    assert (0, 0) == (whole.exit_code, address.exit_code)


def test_credentials_of_the_environment_never_go_to_the_address_of_the_file(
    monkeypatch, config_file
):
    """
    They would otherwise reach whoever listens there.
    """
    path = config_file(f'{FILE}base_url = "http://127.0.0.1:9"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(path.parents[1]))
    monkeypatch.setenv("ORANGE_SMS_AUTHORIZATION", "Basic eDp5")
    monkeypatch.delenv("ORANGE_SMS_BASE_URL", raising=False)

    assert repr(Client.from_env()) == repr(config.client())
    assert "api.orange.com" in repr(config.client())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(invoke, config_file, home, mode):
    """
    With the line that fixes it.
    """
    path = config_file(FILE, mode=mode)

    ended = invoke("balance", settings=home)

    said = f"Error: {path}: others can read the secret in it: `chmod 600 {path}` fixes that\n"
    assert (2, said) == (ended.exit_code, ended.stderr)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{FILE}base_ur = "x"\nid = "y"\n', 'unknown key "base_ur", "id"; the keys are client_'),
        ('client_id = "canary"\n', "client_secret or authorization is missing"),
        ('client_id = "canary"\nclient_secret = ""\n', "client_secret or authorization is missing"),
        ("client_id = 1\n", 'client_id: write it between quotes: client_id = "..."'),
        ('authorization = "canary"\n', 'the header must be "Basic " and the base64 of id:secret'),
        ("client_id = canary\n", "Invalid value (at line 1, column 13)"),
        (f'{FILE}base_url = "canary"\n', "base_url: must start with http:// or https://"),
        ("# Côte\n", "not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file(invoke, config_file, home, text, said):
    """
    One line names the file and the key, and shows nothing that is in it.
    """
    path = config_file(text)

    ended = invoke("balance", settings=home)

    assert 2 == ended.exit_code
    assert ended.stderr.startswith(f"Error: {path}: ")
    assert said in ended.stderr
    assert 1 == ended.stderr.count("\n")
    assert "canary" not in ended.stderr


def test_a_folder_in_its_place(invoke, config_file, home):
    config_file(FILE).rename(config_file(FILE).parent / "other")
    path = config_file(FILE)
    path.unlink()
    path.mkdir()

    assert "Is a directory" in invoke("balance", settings=home).stderr


def test_no_account_at_all(invoke, home, tmp_path):
    """
    It is said where one may be, and what to do without; a relative XDG_CONFIG_HOME is ignored.
    """
    ended = invoke("balance", settings=home | {"ORANGE_SMS_CLIENT_ID": ""})
    elsewhere = invoke("balance", settings={"XDG_CONFIG_HOME": "x", "HOME": str(tmp_path)})

    assert 2 == ended.exit_code
    assert "ORANGE_SMS_CLIENT_ID is not set, nor ORANGE_SMS_AUTHORIZATION" in ended.stderr
    assert f"there is no {tmp_path}/orange-sms/config.toml. To try without" in ended.stderr
    assert "run `orange-sms sandbox`." in ended.stderr
    assert f"{tmp_path}/.config/orange-sms/config.toml" in elsewhere.stderr


def test_half_an_account_in_the_environment(invoke, config_file, home):
    """
    The other half is not taken from the file.
    """
    config_file(FILE)

    ended = invoke("balance", settings=home | {"ORANGE_SMS_CLIENT_ID": "x"})

    assert "Error: ORANGE_SMS_CLIENT_SECRET is not set" in ended.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http_proxy", "gopher://me:canary@127.0.0.1"),
        ("ALL_PROXY", "gopher://me:canary@127.0.0.1"),
        ("SSL_CERT_FILE", "/nowhere/canary.pem"),
    ],
)
def test_an_environment_that_leads_nowhere(run, sandbox, name, value):
    """
    One line, which shows no password; nothing was sent.
    """
    settings = sandbox.environment | {"NO_PROXY": "", name: value}
    ended = run("send", "+2250700000001", "Bonjour", settings=settings)

    assert (2, "") == (ended.returncode, ended.stdout)
    assert ended.stderr.startswith("Error: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY or SSL_CERT_FILE")
    assert 1 == ended.stderr.count("\n")
    assert "canary" not in ended.stderr
