"""The sandbox's own page, and the JSON API under `/_sandbox/` that it uses."""
