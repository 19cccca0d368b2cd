from __future__ import annotations

import json

from fake_rounds import LOGIT, PURE, TEACHER, Bench
from stillhouse.diagnosis.read import read_cases
from stillhouse.runs.files import dump_json


def test_when_and_where_a_run_was_last_alive_is_read_of_its_newest_attempt(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.end(f"{PURE}/0", "lost")
    attempt = bench.begin(f"{LOGIT}/0").attempt
    for file, field, value in ((attempt.claim, "host", "away"), (attempt.status, "heartbeat", 1.0)):
        file.write_bytes(dump_json(json.loads(file.read_text()) | {field: value}))
    cases = {case.path: case for case in read_cases(bench.look())}
    done, here, away = (cases[f"{path}/0"] for path in (TEACHER, PURE, LOGIT))
    assert [case.state.name for case in (done, here, away)] == ["done", "lost", "lost"]
    assert (here.here, away.here) == (True, False)
    assert away.silence is not None and away.silence > 1e9
    assert here.silence is not None and here.silence < 60
    assert done.metrics == done.folder / "metrics.jsonl"
    assert done.status == done.folder / "attempts" / "001" / "status.json"
