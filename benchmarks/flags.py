"""The command line of a benchmark that takes no flags."""

import argparse


def take_none(doc: str) -> None:
    """Answers `--help` by a program's docstring, and refuses all else."""
    argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
