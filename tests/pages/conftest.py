"""The browser that the sandbox's page is tested with, for the site."""

from browser import chromium, pytest_runtest_setup  # noqa: F401 -- a fixture, and a hook
