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
    **dict.fromkeys(("start", "resume", "fit", "distill", "train"), "run"),
    **dict.fromkeys(("new", "init", "create"), "plan --new NAME"),
    **dict.fromkeys(("delete", "remove", "rm", "clean"), "reset"),
    **dict.fromkeys(("results", "stats", "evaluate"), "table"),
    **dict.fromkeys(("plot", "draw"), "analyze"),
    "show": "status",
    "ls": "list runs",
    "diagnose": "doctor",
    "download": "data fetch",
    "validate": "check",
    "queue": "cluster jobs",
    "help": "--help",
    "version": "--version",
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


def meant(word: str, commands: Mapping[str, Any], group: str = "") -> list[str]:
    """The commands that a mistyped word may stand for: of its group, else of all, old ones too."""
    own = {sub: f"{group} {sub}" for sub in _subcommands(commands.get(group))}
    if found := _like(word, own):
        return found
    known = {sub: f"{verb} {sub}" for verb, one in commands.items() for sub in _subcommands(one)}
    known |= SYNONYMS | {old.split()[0]: new for old, new in RENAMED.items()}
    return _like(word, known | {verb: verb for verb, one in commands.items() if not one.hidden})


def _like(word: str, known: Mapping[str, str]) -> list[str]:
    """What stands beside the known words that begin with a word or are nearly it."""
    if word in known:
        return [known[word]]
    begun = [one for one in known if len(word) > 2 and one.startswith(word)]
    near = get_close_matches(word, known, n=2, cutoff=0.65)
    return list(dict.fromkeys(known[one] for one in (*begun[:2], *near)))


def _subcommands(command: Any) -> list[str]:
    return list(getattr(command, "commands", {}))
