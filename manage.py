#!/usr/bin/env python
"""Tokenledger's commands: `python manage.py help`."""

import sys

from finops.environment import load_environment


def main() -> None:
    """Run one command against the installation that `$TOKENLEDGER_HOME/environment` describes."""
    load_environment()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
