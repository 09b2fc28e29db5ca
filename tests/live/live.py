"""Starts `truetape sim` and `truetape run` beside it, and asks run over HTTP. Python's standard library alone."""
import json
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TRUETAPE", str(ROOT / "build/dev/truetape"))
