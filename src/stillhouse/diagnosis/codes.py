"""Every cause the doctor can name, in the order in which a cause comes before its effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["end", "invalid", "caution"]
KINDS: tuple[Kind, ...] = ("end", "invalid", "caution")


@dataclass(frozen=True)
class Code:
    """`end`: why a run failed or is stuck; `invalid`: its number is not what its configuration
    says; `caution`: its result stands, but read it with this in mind. `imported` is the cure for
    an imported run, which cannot be continued here, where it is another one.

    Whether a run is unsound, its accuracy being that of guessing, is no matter of the cause.
    """

    name: str
    kind: Kind
    meaning: str
    cure: str
    imported: str = ""


_ALL = (
    Code(
        "missing-module",
        "end",
        "a package does not import",
        "install it on the machine that trains; `stillhouse plan --try` finds this before a start",
    ),
    Code(
        "oom-gpu",
        "end",
        "the GPU's memory is full",
        "a smaller batch_size, bf16, fewer runs per cohort or a larger GPU",
    ),
    Code(
        "oom-limit",
        "end",
        "the scheduler ended the job for its memory",
        "ask the scheduler for more memory",
    ),
    Code(
        "oom-host",
        "end",
        "the machine's memory is full",
        "fewer workers at once (--jobs) or a machine with more memory",
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
        "the scheduler's time limit passed",
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
        "the teacher's weights are not those its record has",
        "restore the teacher's weights, or train the teacher and its students again",
    ),
    Code(
        "half-trained-teacher",
        "invalid",
        "the teacher was not trained to its end",
        "finish or train the teacher anew, then its students",
    ),
    Code(
        "blocked",
        "end",
        "the run waits for a teacher that has failed",
        "mend the teacher first",
    ),
    Code(
        "bad-data",
        "invalid",
        "images or labels are missing, damaged or do not belong together",
        "`stillhouse data fetch` the dataset anew and train again",
    ),
    Code(
        "optimizer-never-stepped",
        "invalid",
        "the weights did not move",
        "find the gradient that is not finite (a loss outside float32?); try precision bf16 or "
        "fp32",
    ),
    Code(
        "divergence",
        "invalid",
        "the loss left all bounds, or what was learned was lost again",
        "a smaller learning_rate, warmup_epochs, or a smaller weight of the distillation term",
    ),
    Code(
        "collapse",
        "invalid",
        "the network gives every image the same answer",
        "compare the terms' sizes in metrics.jsonl; a smaller weight of the distillation term, a "
        "smaller learning_rate or warmup_epochs",
    ),
    Code(
        "nothing-learned",
        "invalid",
        "the accuracy is that of guessing, for a reason the records do not show",
        "look at the loss curves and at the images",
    ),
    Code(
        "stale-heartbeat",
        "end",
        "the run says it is running but has not written for long",
        "look for its process or job; run again to resume it",
    ),
    Code(
        "killed",
        "end",
        "its process was ended from outside",
        "run again; it resumes from its checkpoint",
        "continue it where it was trained, then import the records again",
    ),
    Code(
        "unfinished",
        "end",
        "the run was still running, or had been cut off, when its records were copied",
        "look at the machine that trained it; import the records again once it has ended",
    ),
    Code(
        "crash",
        "end",
        "an error the doctor has no rule for",
        "read the traceback in the log",
    ),
    Code(
        "kd-dominates",
        "caution",
        "the distillation term's gradient drowns the task's",
        "a smaller alpha or weight of the term",
    ),
    Code(
        "kd-inert",
        "caution",
        "the distillation term has no influence: the run is a pure one",
        "a larger alpha or weight of the term; check that its features are not normalised away",
    ),
    Code(
        "own-loss-not-lower",
        "caution",
        "the method's own loss is no lower for its student than for a pure one",
        "more epochs, or a larger alpha or weight of the term",
    ),
    Code(
        "over-regularised",
        "caution",
        "its recipe or weight keeps it below a pure run on training images and on test images",
        "a smaller alpha, weight_decay or label_smoothing; compare with the `ce_scaled` control",
    ),
    Code(
        "under-trained",
        "caution",
        "it was still getting better when it ended",
        "more epochs, or a schedule that lets the learning rate fall to its floor",
    ),
    Code(
        "overfit",
        "caution",
        "the test loss rises while the training loss falls",
        "more augmentation, weight_decay or images; fewer epochs",
    ),
    Code(
        "slow-start",
        "caution",
        "it stayed at chance for its first epochs, long after others had left it",
        "warmup_epochs or a smaller learning_rate",
    ),
    Code(
        "confounded",
        "caution",
        "its recipe differs from the pure runs' in more than the method",
        "give every arm one recipe, or compare only with a pure run of this recipe",
    ),
    Code(
        "identical-curves",
        "caution",
        "another run with another configuration has the same numbers to the last bit",
        "the setting in which they differ has no effect: check that it is read",
    ),
)
CODES = {code.name: code for code in _ALL}
ORDER = {name: place for place, name in enumerate(CODES)}
