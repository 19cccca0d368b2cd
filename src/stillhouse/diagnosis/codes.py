"""Every code that a diagnosis can name, with its meaning and cure: one table for both scopes.

The causes of runs stand in the order in which a cause comes before its effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["end", "invalid", "caution", "alarm", "warning", "finding", "note"]
LEVELS: tuple[Level, ...] = ("end", "invalid", "caution", "alarm", "warning", "finding", "note")


@dataclass(frozen=True)
class Code:
    """A code's name, level, meaning and cure; `imported` is the cure for an imported run.

    Of a run: `end` is why it failed or is stuck; `invalid`: its number is not what its
    configuration says; `caution`: its result stands, but read it with this in mind. Of a dataset
    of a round: `alarm` is numbers that must not be used; `warning`: numbers to be read with care;
    `finding`: a result; `note`: for the reader.
    """

    name: str
    level: Level
    meaning: str
    cure: str = ""
    imported: str = ""


OF_RUNS = (
    Code(
        "missing-module",
        "end",
        "a package does not import",
        "install it on the machine that trains; `stillhouse plan --try` finds this before a start",
    ),
    Code(
        "oom-gpu",
        "end",
        "the GPU ran out of memory",
        "use a smaller batch_size, bf16, fewer runs per cohort or a larger GPU",
    ),
    Code(
        "oom-limit",
        "end",
        "the scheduler killed the job at its memory limit",
        "request more memory from the scheduler",
    ),
    Code(
        "oom-host",
        "end",
        "the machine ran out of memory",
        "use fewer workers (--jobs) or a machine with more memory",
    ),
    Code(
        "disk",
        "end",
        "a file could not be written or read back",
        "free space or quota, restore the damaged file, then run again",
    ),
    Code(
        "walltime",
        "end",
        "the job reached the scheduler's time limit",
        "run again (it resumes) with more time, or with fewer runs per job",
        "continue it where it was trained, with more time, then import the records again",
    ),
    Code(
        "wrong-teacher",
        "invalid",
        "the teacher is not the one the configuration names",
        "train the student again with the teacher its configuration names",
    ),
    Code(
        "changed-teacher",
        "invalid",
        "the teacher's weights differ from its record",
        "restore the teacher's weights, or train the teacher and its students again",
    ),
    Code(
        "half-trained-teacher",
        "invalid",
        "the teacher's training was not finished",
        "finish the teacher or train it again, then its students",
    ),
    Code(
        "blocked", "end", "the run waits for a teacher that has failed", "repair the teacher first"
    ),
    Code(
        "bad-data",
        "invalid",
        "images or labels are missing, damaged or do not match",
        "run `stillhouse data fetch` for the dataset and train again",
    ),
    Code(
        "optimizer-never-stepped",
        "invalid",
        "the weights did not move",
        "find the non-finite gradient (a loss outside float32?); try precision bf16 or fp32",
    ),
    Code(
        "divergence",
        "invalid",
        "the loss grew without bound, or the accuracy fell back to chance",
        "use a smaller learning_rate, warmup_epochs, or a smaller weight of the distillation term",
    ),
    Code(
        "collapse",
        "invalid",
        "the network predicts one class for every image",
        "compare the sizes of the terms in metrics.jsonl; use a smaller weight of the "
        "distillation term, a smaller learning_rate or warmup_epochs",
    ),
    Code(
        "nothing-learned",
        "invalid",
        "the accuracy is at chance level; the records do not show why",
        "look at the loss curves and at the images",
    ),
    Code(
        "stale-heartbeat",
        "end",
        "the status is running, but the heartbeat is old",
        "look for its process or job; run again to resume it",
    ),
    Code(
        "killed",
        "end",
        "a signal killed the process",
        "run again; it resumes from its checkpoint",
        "continue it where it was trained, then import the records again",
    ),
    Code(
        "unfinished",
        "end",
        "the run was running, or had been cut off, when its records were copied",
        "look at the machine that trained it; import the records again when it has ended",
    ),
    Code("crash", "end", "an error that no rule knows", "read the traceback in the log"),
    Code(
        "kd-dominates",
        "caution",
        "the gradient of the distillation term is much larger than that of cross entropy",
        "use a smaller alpha or weight of the term",
    ),
    Code(
        "kd-inert",
        "caution",
        "the distillation term has no effect: the run equals a pure one",
        "use a larger alpha or weight of the term; check that normalisation does not remove its "
        "features",
    ),
    Code(
        "own-loss-not-lower",
        "caution",
        "the method's own loss is not lower for its student than for a pure one",
        "use more epochs, or a larger alpha or weight of the term",
    ),
    Code(
        "over-regularised",
        "caution",
        "its recipe or loss weight keeps it below a pure run on training and test images",
        "use a smaller alpha, weight_decay or label_smoothing; compare with the `ce_scaled` "
        "control",
    ),
    Code(
        "under-trained",
        "caution",
        "it was still improving when it ended",
        "use more epochs, or a schedule in which the learning rate reaches its minimum",
    ),
    Code(
        "overfit",
        "caution",
        "the test loss rises while the training loss falls",
        "use more augmentation, weight_decay or images, or fewer epochs",
    ),
    Code(
        "slow-start",
        "caution",
        "it stayed at chance level in its first epochs, much longer than other runs",
        "use warmup_epochs or a smaller learning_rate",
    ),
    Code(
        "confounded",
        "caution",
        "its recipe differs from that of the pure runs in more than the method",
        "give every arm the same recipe, or compare only with a pure run of this recipe",
    ),
    Code(
        "identical-curves",
        "caution",
        "a run with another configuration has bit-identical numbers",
        "the setting in which they differ has no effect: check that it is read",
    ),
)
OF_ROUNDS = (
    Code("failed", "alarm", "runs failed", "`stillhouse doctor` names the cause of each"),
    Code(
        "damaged",
        "alarm",
        "epoch records cannot be read",
        "restore the file, or reset the run and train it again",
    ),
    Code(
        "failed-chance",
        "alarm",
        "runs ended at an accuracy that guessing reaches",
        "`stillhouse doctor` names the cause of each",
    ),
    Code("incomplete", "alarm", "runs are not finished", "`stillhouse run` resumes them"),
    Code(
        "above-unfinished-teacher",
        "alarm",
        "a student is above a teacher that is not finished",
        "finish the teacher first",
    ),
    Code("helps", "finding", "a method is above the pure student"),
    Code("hurts", "finding", "a method is below the pure student"),
    Code("equivalent", "finding", "a method is as good as the pure student"),
    Code("inconclusive", "finding", "this number of seeds does not decide"),
    Code("below-pure", "warning", "every seed of a method is below every pure seed"),
    Code(
        "underfits", "warning", "a method fits its training images worse than pure and tests worse"
    ),
    Code("weak-teacher", "warning", "the teacher is hardly better than the pure student"),
    Code("teachers-compared", "finding", "which of several teachers is the best one for a method"),
    Code(
        "no-same-architecture",
        "note",
        "no teacher has the student's own network",
        "list the student's network among `teachers`, or add the method `self`",
    ),
    Code("seed-outlier", "warning", "one seed is far from the others"),
    Code("wide-spread", "warning", "an arm spreads over its seeds much more than the others"),
    Code("teacher-driven", "warning", "a student's accuracy follows that of its own teacher"),
    Code("confound", "warning", "arms differ in more than their method"),
    Code("uneven-seeds", "warning", "arms have different numbers of valid seeds"),
    Code("mixed-epochs", "warning", "completed runs have different numbers of epochs"),
    Code("above-teacher", "note", "students are above the teacher that they had"),
    Code("selection-bias", "note", "choosing the best epoch makes much of the difference"),
    Code("calibration", "note", "the calibration error differs from that of pure"),
    Code("swept", "note", "the best of several values was chosen on the test images"),
    Code("smoothed-teacher", "note", "the teachers were trained with label smoothing"),
    Code(
        "aligned-not-better",
        "finding",
        "a method is closer to its teacher than pure, and not shown to be more accurate",
    ),
    Code(
        "alignment-generic",
        "finding",
        "a method is as close to other seeds' teachers as to its own",
    ),
    Code(
        "copied-errors",
        "finding",
        "a method repeats its teacher's wrong answers more often than pure does",
    ),
    Code(
        "more-differentiated",
        "finding",
        "the spread between the arms beside that of an earlier round",
    ),
)
CODES = {code.name: code for code in (*OF_RUNS, *OF_ROUNDS)}
ORDER = {name: place for place, name in enumerate(CODES)}
