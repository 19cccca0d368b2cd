"""Verbs of earlier versions, and what a mistyped verb may have meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

# What was typed until 0.1.0, and what it is called now.
RENAMED = {
    "preflight": "plan --try",
    "power": "plan --power",
    "unlock": "reset --unlock",
    "diff": "compare --settings",
    "terms": "verify --losses",
    "figure": "analyze --figure accuracy --out .",
    "methods": "list methods",
    "models": "list models",
    "datasets": "list datasets",
    "explain": "list methods",
    "submit": "cluster submit",
    "jobs": "cluster jobs",
    "logs": "cluster logs",
    "cancel": "cluster cancel",
    "retry": "cluster retry",
    "site check": "cluster check",
}
OPTIONS = {"figure": {"--kind": "--format"}}
# Words that other programs use.
SYNONYMS = {
    "start": "run",
    "resume": "run",
    "fit": "run",
    "distill": "run",
    "show": "status",
    "results": "table",
    "plot": "analyze",
    "delete": "reset",
    "remove": "reset",
    "download": "data fetch",
    "validate": "check",
}


def current_words(words: Sequence[str]) -> tuple[list[str], str]:
    """A command line in today's verbs, and a notice if it had an old one."""
    for old, new in RENAMED.items():
        typed = old.split()
        if list(words[: len(typed)]) == typed:
            renamed = OPTIONS.get(old, {})
            rest = [_renamed(word, renamed) for word in words[len(typed) :]]
            return [*new.split(), *rest], f"'stillhouse {old}' is now 'stillhouse {new}'"
    return list(words), ""


def _renamed(word: str, options: Mapping[str, str]) -> str:
    name, equals, value = word.partition("=")
    return options.get(name, name) + equals + value


def meant(word: str, commands: Mapping[str, Any]) -> list[str]:
    """The commands that a mistyped verb may stand for: verbs, their subcommands, old verbs."""
    spoken = {sub: f"{verb} {sub}" for verb, one in commands.items() for sub in _subcommands(one)}
    spoken |= SYNONYMS | {old.split()[0]: new for old, new in RENAMED.items()}
    spoken |= {verb: verb for verb, one in commands.items() if not one.hidden}
    begun = [known for known in spoken if len(word) > 2 and known.startswith(word)]
    near = get_close_matches(word, spoken, n=2, cutoff=0.65)
    return list(dict.fromkeys(spoken[known] for known in (*begun[:2], *near)))


def _subcommands(command: Any) -> list[str]:
    return list(getattr(command, "commands", {}))
