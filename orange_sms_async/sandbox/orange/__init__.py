"""Orange's API on this machine: what it reads, checks, answers, counts and posts. No page."""
