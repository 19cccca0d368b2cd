"""The pages that stand on docs/example/: every number in them is read from its files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
EARLIER = "alpha"
FIRST = "beta_small"  # the round that the pages are about, if it is there
PICTURE = re.compile(r"<!-- example -->\n.*?<!-- /example -->\n", re.S)
BLOCK = re.compile(r"^\*\*round \S+?, (.+?): (.+?)\*\*$", re.M)
VERDICTS = ("Method", "Accuracy %", "Δ pure", "Verdict", "n", "p (adjusted)", "Seeds needed")

OPENING = """\
# A round, read from start to end

This page reads a real round as a reviewer would: the question, the tables, the verdicts, what the
observations say, and what the representations add. `make example` writes it from the files of the
round, so every number on it is one of theirs. The same files as the program writes them:
"""
TABLES = """\
Test accuracy of the final epoch, one column per seed, and the mean with the sample standard
deviation. Read this table for the size of the numbers only. Whether a method differs from the
pure student is not a question of two means: the next table answers it.
"""
VERDICT = """\
The difference to the pure student is paired by seed: both runs saw the same images in the same
order and began with the same weights where the networks agree. *helps* and *hurts* need an
interval on one side of zero **and** a p-value that stays small after it is adjusted for all
methods of the table ([how](statistics.md)). *inconclusive* is an answer too: the column beside it
says how many seeds would find a difference of this size.
"""
OBSERVED = """\
`stillhouse observe` puts the same into sentences, each with its rule and the runs that it rests
on. The first finding answers the question of the round: do the methods differ by more than the
seeds do?
"""
ADDED = """\
Accuracy says how often a student is right, and not what it took over from its teacher. Two
questions need the networks themselves.

*Did the student move towards its teacher?* Excess is its similarity to the teacher less that of
the pure student to the same teacher, which nobody taught. *Towards this teacher, or towards any?*
Specificity is the similarity to its own teacher less that to the teachers of other seeds.
([Definitions](measures.md).)
"""
FIDELITY = """\
The next picture asks the same of the predictions. A method that lies higher than the pure student
at the same accuracy copies its teacher's answers, the wrong ones included.
"""
DOCTOR = """\
`stillhouse doctor` looks at every run: did it fail, stop, or learn nothing, and why?
"""
NOTHING = "No student of the round is complete yet.\n"
BESIDE = """\
# Round alpha and round beta in small

Round alpha's document asks for a second round with more differentiated results. Here both stand
side by side in the form of that document. `make example` writes this page from the records of
both rounds. Alpha's accuracies are those of the best epoch, as its document has them; the others
are those of the final epoch. The two rounds differ in more than their methods (`stillhouse
compare --settings rounds/alpha.yaml rounds/beta_small.yaml` lists it), so only the spread
*within* each can be compared.
"""


def pages(example: Path) -> dict[str, str]:
    """Return the text of each page by its path below docs/."""
    rounds = [one for one in sorted(example.iterdir()) if (one / "report.html").is_file()]
    rounds.sort(key=lambda one: one.name != FIRST)
    found = {"example.md": _example(rounds)}
    both = example / FIRST, example / EARLIER
    if all(one.is_dir() for one in both):
        found["beta-small.md"] = _beside(*both)
    return found


def readme(text: str, example: Path) -> str:
    """README with its first picture and the sentences below it."""
    home = next(one for one in (example / FIRST, *sorted(example.iterdir())) if one.is_dir())
    known = _facts(home)
    stems = (f"{home.name}-{name}-forest" for name in known["datasets"])
    stem = next(one for one in stems if (home / "figures" / f"{one}.png").is_file())
    labels = [label for label, _ in _blocks(home / "table.md")]
    dataset = dict(zip(known["datasets"], labels, strict=True))[stem.split("-")[1]]
    what = f"What each method gains over the pure student on {dataset}, in points of test accuracy"
    below = (
        f"{what}, with 95 % intervals over seeds (`rounds/{home.name}.yaml`). {setup(known)} "
        "[This round, read from start to end](docs/example.md)."
    )
    lines = [
        "<!-- example -->",
        f"![{what}](docs/example/{home.name}/figures/{stem}.png)",
        "",
        fill(f"*{below}*", 98, break_long_words=False, break_on_hyphens=False),
        "<!-- /example -->",
    ]
    return PICTURE.sub(lambda _: "\n".join(lines) + "\n", text)


def _facts(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / "facts.json").read_text())
    return found


def setup(known: dict[str, Any]) -> str:
    """What was trained, in one sentence, and what became of it in another."""
    images = "all" if known["train_images"] is None else f"{known['train_images']:,}"
    return (
        f"{known['teacher']} teaches {known['student']} on {images} training images for "
        f"{known['epochs']} epochs, {known['seeds']} seeds. The round is {known['status']}; "
        f"{known['killed_processes']} processes were killed or stopped on the way."
    )


def _example(rounds: list[Path]) -> str:
    parts = [OPENING, "".join(map(_links, rounds))]
    for home in rounds:
        known = _facts(home)
        parts += [f"## Round {home.name}\n", f"### The question\n\n> {known['motivation']}\n"]
        parts.append(setup(known) + "\n")
        parts += ["### The tables\n", TABLES, *bodies(home / "table.md")]
        parts += ["### The verdicts\n", VERDICT, *verdicts(home / "stats.md")]
        parts += _pictures(home, "forest")
        parts += ["### The observations\n", OBSERVED, *bodies(home / "observe.md")]
        parts += [
            "### What the representations add\n",
            ADDED,
            *transfer((home / "document.md").read_text()),
        ]
        parts += _pictures(home, "transfer")
        if several := [*_pictures(home, "fidelity")]:
            parts += [FIDELITY, *several]
        parts += ["### The doctor\n", DOCTOR, (home / "doctor.md").read_text()]
    return joined(parts)


def _beside(home: Path, earlier: Path) -> str:
    parts = [BESIDE, setup(_facts(home)) + "\n"]
    names = {"table": "Accuracies", "stats": "Verdicts", "observe": "Observations"}
    blocks = {
        (view, one): dict(_blocks(one / f"{view}.md")) for view in names for one in (earlier, home)
    }
    for label in dict.fromkeys(label for one in blocks.values() for label in one):
        parts.append(f"## {label}\n")
        for view, title in names.items():
            for one in (earlier, home):
                if body := blocks[view, one].get(label):
                    parts.append(f"### {title}: {one.name}, {label}\n")
                    parts.append(_narrow(body) if view == "stats" else body)
    for one in (earlier, home):
        parts += [f"## Doctor: {one.name}\n", (one / "doctor.md").read_text()]
    return joined(parts)


def joined(parts: list[str]) -> str:
    """The parts as one text without repeated empty lines."""
    text = "\n".join(parts)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _links(home: Path) -> str:
    place = f"example/{home.name}"
    tables = ", ".join(
        f"[{file.stem}.csv]({place}/tables/{file.name})"
        for file in sorted(home.glob("tables/*.csv"))
    )
    return (
        f"\n- round {home.name}: the report as [one page]({place}/report.html) and as "
        f"[Markdown]({place}/document.md); tables {tables}\n"
    )


def _blocks(file: Path) -> Iterator[tuple[str, str]]:
    """The parts of what a command shows: each dataset's label, and what stands below its title."""
    text = file.read_text()
    found = [*BLOCK.finditer(text)]
    ends = [*(one.start() for one in found[1:]), len(text)]
    for one, end in zip(found, ends, strict=True):
        body = [
            line for line in text[one.end() : end].splitlines() if not line.startswith("--notes")
        ]
        yield one[1], "\n".join(body).strip() + "\n"


def bodies(file: Path) -> Iterator[str]:
    """What a command shows of each dataset, below its label."""
    for label, body in _blocks(file):
        yield f"**{label}**\n\n{body}"


def verdicts(file: Path) -> Iterator[str]:
    """The columns of `VERDICTS` of each dataset's table."""
    for label, body in _blocks(file):
        if "Verdict" in body:
            yield f"**{label}**\n\n{_narrow(body)}"


def _narrow(body: str) -> str:
    """The Markdown table of a part with the columns of `VERDICTS` alone, and its notes."""
    lines = [line for line in body.splitlines() if line.startswith("|")]
    rest = [line for line in body.splitlines() if not line.startswith("|")]
    rows = [line.strip("|").split("|") for line in lines]
    kept = (
        [i for i, name in enumerate(rows[0]) if name.strip().startswith(VERDICTS)] if rows else []
    )
    table = ["|" + "|".join(row[i] for i in kept) + "|" for row in rows]
    return "\n".join([*table, *rest]).strip() + "\n"


def transfer(text: str) -> Iterator[str]:
    """The tables of representations and of what was transferred, of a report's Markdown."""
    for title, body in re.findall(r"^### (.+?)\n(.*?)(?=^##)", text, re.M | re.S):
        if (": last group" in title or title == "What was transferred") and "|" in body:
            yield f"**{title}**\n\n{body.strip()}\n"


def _pictures(home: Path, name: str) -> Iterator[str]:
    """A figure of every dataset that has it, with its caption."""
    for dataset in _facts(home)["datasets"]:
        stem = f"{home.name}-{dataset}-{name}"
        caption = home / "figures" / f"{stem}.md"
        if caption.is_file():
            yield picture(caption, f"example/{home.name}/figures")


def picture(caption: Path, place: str) -> str:
    """The figure beside a caption's file, as a page shows it that finds both in `place`."""
    shown, *rest = caption.read_text().strip().split("\n\n")
    return "\n\n".join([f"![{shown}]({place}/{caption.stem}.png)", f"*{shown}*", *rest]) + "\n"
