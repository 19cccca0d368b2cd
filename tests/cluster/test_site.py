"""Site profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_scheduler import make_site
from stillhouse.cluster.site import find_site, load_site
from stillhouse.errors import ConfigError

SITES = Path(__file__).parents[2] / "sites"
GOOD = 'scheduler = "pbs"\ncap = 10\n[resources]\nwalltime = "2:00:00"\n'


@pytest.mark.parametrize("path", sorted(SITES.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_profiles_load_and_name_nobody(path: Path) -> None:
    site = load_site(path)
    assert (site.project, site.mail, site.environment.activate) == ("", "", ())


def test_the_profile_of_the_queue_that_is_described() -> None:
    site = load_site(SITES / "pbs.toml")
    asked = site.asks("Cifar10", "ResNet112")
    assert (asked.cpus, asked.memory_gb, asked.gpus, asked.walltime) == (10, 32, 1, 7200)
    assert site.cap == 10
    assert load_site(SITES / "pbs-1h.toml").resources.walltime == 3600


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scheduler = [", "not readable as TOML"),
        (GOOD.replace("pbs", "lsf"), ":1: scheduler: given 'lsf'"),
        (
            GOOD + "memory = 3\n",
            ":5: resources.memory: unknown field\n  hint: did you mean 'memory_gb'?",
        ),
        ("quee = 'a'\n" + GOOD, ":1: quee: unknown field\n  hint: did you mean 'queue'?"),
        (GOOD.replace("cap = 10\n", ""), "cap: this field is missing"),
        (GOOD.replace("10", "0"), ":2: cap: given 0"),
        (GOOD.replace("2:00:00", "two"), ":4: resources.walltime: given 'two'"),
        (GOOD.replace("2:00:00", "1:00"), "walltime 60 s leaves no time after the margin"),
        ("queue = 'a b'\n" + GOOD, ":1: queue: given 'a b'\n  hint: expected characters"),
        ("queue = 'a\\nb'\n" + GOOD, "not readable as TOML|queue: given"),
        ('project = "x\\n#PBS -q root"\n' + GOOD, "project: given"),
        ('directives = ["-l x\\nrm"]\n' + GOOD, ":1: directives[0]: given"),
        (GOOD + "[environment.variables]\n'A;rm' = 'x'\n", ":6: environment.variables"),
        (GOOD + "[environment]\ndata = '/images'\n", "it belongs under `[environment]`|:6: "),
        (GOOD.replace("10", "10" * 9), ":2: cap: given 101010101010101010"),
        (GOOD.replace("10", "0x" + "f" * 5000), ":2: a whole number of more than 64 bits"),
        (GOOD.replace("10", "9" * 5000), ":2: a whole number of more than 64 bits"),
        (GOOD + "memory_gb = 10000000\n", ":5: resources.memory_gb: given 10000000"),
        (GOOD.replace("2:00:00", "99999999999999:00:00"), ":4: resources.walltime: given"),
        (GOOD + "x = " + "[" * 40_000 + "]" * 40_000, ":5: nested deeper than 32"),
        (GOOD + "x = " + "[" * 40 + "]" * 40, ":5: nested deeper than 32"),
        (GOOD + ".".join("x" * 40_000) + " = 1", ":5: nested deeper than 32"),
        (GOOD + "[" + ".".join("x" * 40_000) + "]", ":5: nested deeper than 32"),
        (GOOD + "#" * 100_000, "too large\n  hint: expected at most 100,000 bytes"),
        ("data = 'a\\u0000b'\n".replace("'", '"') + GOOD, ":1: data: given"),
        (GOOD + "[[special]]\ncpus = 2\n[[special]]\n\ncpus = -2\n", ":9: special[1].cpus: given"),
        ("directives = [\n  '-l x',\n  7,\n]\n" + GOOD, ":1: directives[1]: given 7"),
    ],
)
def test_a_mistake_is_named_with_file_and_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_site(path)
    assert str(error.value).startswith(str(path))
    assert any(one in str(error.value) for one in message.split("|"))


def test_a_profile_is_found_by_name_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "mine.toml").write_text(GOOD)
    assert find_site(tmp_path, "mine") == tmp_path / "sites" / "mine.toml"
    with pytest.raises(ConfigError, match="no site profile for 'yours'"):
        find_site(tmp_path, "yours")


def test_what_needs_more_than_the_rest() -> None:
    special = [
        {"dataset": "TinyImageNet", "memory_gb": 12},
        {"dataset": "TinyImageNet", "model": "ResNet112", "walltime": "2:00:00"},
    ]
    site = make_site(special=special)
    assert site.asks("Cifar10", "ResNet112").memory_gb == 8
    asked = site.asks("TinyImageNet", "ResNet112")
    assert (asked.memory_gb, asked.walltime) == (12, 7200)
    assert site.asks("TinyImageNet", "ResNet56").walltime == 3600
