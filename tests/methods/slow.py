"""Every published loss written out slowly, entry by entry, in the terms of its paper."""

from __future__ import annotations

import torch
from torch import Tensor


def slow_kd(student: Tensor, teacher: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student.dtype)
    for s, t in zip(student / 4, teacher / 4, strict=True):
        p, q = s.exp() / s.exp().sum(), t.exp() / t.exp().sum()
        total = total + sum(q[i] * (q[i] / p[i]).log() for i in range(len(q)))
    return 16 * total / len(student)


def slow_pool(x: Tensor, size: int) -> Tensor:
    step = x.shape[2] // size
    rows = [x[:, :, i * step : (i + 1) * step] for i in range(size)]
    cells = [
        [row[..., j * step : (j + 1) * step].mean((2, 3)) for j in range(size)] for row in rows
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in cells], dim=-2)


def slow_attention(student: Tensor, teacher: Tensor) -> Tensor:
    size = min(student.shape[2], teacher.shape[2])
    total = torch.zeros((), dtype=student.dtype)
    for s, t in zip(slow_pool(student, size), slow_pool(teacher, size), strict=True):
        maps = []
        for x in (s, t):
            attention = sum(channel**2 for channel in x) / len(x)
            maps.append(attention / (attention**2).sum().sqrt())
        total = total + ((maps[0] - maps[1]) ** 2).sum() / size**2
    return total / len(student)


def slow_hint(student: Tensor, teacher: Tensor) -> Tensor:
    return sum((a - b) ** 2 for a, b in zip(student.flatten(), teacher.flatten(), strict=True)) / (
        student.numel()
    )


def slow_paper_hint(student: Tensor, teacher: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student.dtype)
    for s, t in zip(student, teacher, strict=True):
        total = total + sum(((a - b) ** 2).sum() / 2 for a, b in zip(s, t, strict=True))
    return total / (len(student) * student.shape[2] * student.shape[3])


def slow_softened(student: Tensor, teacher: Tensor) -> Tensor:
    """The paper's own form, a cross entropy at temperature 3, less the teacher's entropy."""
    log_p = (student / 3) - (student / 3).exp().sum(1, keepdim=True).log()
    q = (teacher / 3).exp() / (teacher / 3).exp().sum(1, keepdim=True)
    return (-(q * log_p).sum() + (q * q.log()).sum()) / len(student)


def slow_factor(student: Tensor, teacher: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student.dtype)
    for s, t in zip(student, teacher, strict=True):
        s, t = s / (s**2).sum().sqrt(), t / (t**2).sum().sqrt()
        total = total + (s - t).abs().sum() / s.numel()
    return total / len(student)


def slow_crd_factor(student: Tensor, teacher: Tensor) -> Tensor:
    attention = [
        sum(x[:, c] ** 2 for c in range(x.shape[1])) / x.shape[1] for x in (student, teacher)
    ]
    return slow_factor(*attention)


def smooth_l1(x: Tensor) -> Tensor:
    return x**2 / 2 if abs(x.item()) < 1 else x.abs() - 0.5


def slow_distance(student: Tensor, teacher: Tensor) -> Tensor:
    n = len(student)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    lists = []
    for x in (student, teacher):
        distances = [((x[i] - x[j]) ** 2).sum().sqrt() for i, j in pairs]
        mean = sum(distances) / len(pairs)
        lists.append([d / mean for d in distances])
    return sum(smooth_l1(a - b) for a, b in zip(*lists, strict=True)) / n**2


def slow_angle(student: Tensor, teacher: Tensor) -> Tensor:
    n = len(student)

    def cosine(x: Tensor, i: int, j: int, k: int) -> Tensor:
        a, b = x[i] - x[j], x[k] - x[j]
        if j in (i, k):
            return (a * b).sum()
        return (a * b).sum() / ((a**2).sum().sqrt() * (b**2).sum().sqrt())

    triplets = [(i, j, k) for i in range(n) for j in range(n) for k in range(n)]
    return sum(smooth_l1(cosine(student, *ijk) - cosine(teacher, *ijk)) for ijk in triplets) / n**3


def slow_selectivity(student: Tensor, teacher: Tensor) -> Tensor:
    size = min(student.shape[2], teacher.shape[2])

    def mean_kernel(a: Tensor, b: Tensor) -> Tensor:
        total = torch.zeros((), dtype=a.dtype)
        for x in a.flatten(1):
            for y in b.flatten(1):
                if x.any() and y.any():  # a dead channel has cosine 0
                    cosine = (x * y).sum() / ((x**2).sum().sqrt() * (y**2).sum().sqrt())
                    total = total + cosine**2
        return total / (len(a) * len(b))

    total = torch.zeros((), dtype=student.dtype)
    for s, t in zip(slow_pool(student, size), slow_pool(teacher, size), strict=True):
        total = total + mean_kernel(s, s) + mean_kernel(t, t) - 2 * mean_kernel(s, t)
    return total / len(student)


def softmax(logits: Tensor) -> Tensor:
    return logits.exp() / logits.exp().sum()


def slow_standardised_kd(student: Tensor, teacher: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student.dtype)
    for s, t in zip(student, teacher, strict=True):
        p, q = (softmax(standard(z) / 2) for z in (s, t))
        total = total + 4 * sum(q[i] * (q[i] / p[i]).log() for i in range(len(q)))
    return total / len(student)


def standard(row: Tensor) -> Tensor:
    mean = sum(row) / len(row)
    deviation = (sum((z - mean) ** 2 for z in row) / (len(row) - 1)).sqrt()
    return (row - mean) / (deviation + 1e-7)


def labels_of(count: int, classes: int) -> Tensor:
    """The labels that every comparison uses."""
    return torch.arange(count) * 3 % classes


def slow_tckd(student: Tensor, teacher: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student.dtype)
    for s, t, label in zip(student, teacher, labels_of(*student.shape), strict=True):
        p, q = softmax(s / 4)[label], softmax(t / 4)[label]
        total = total + q * (q / p).log() + (1 - q) * ((1 - q) / (1 - p)).log()
    return 16 * total / len(student)


def slow_nckd(student: Tensor, teacher: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student.dtype)
    for s, t, label in zip(student, teacher, labels_of(*student.shape), strict=True):
        others = [i for i in range(len(s)) if i != label]
        p, q = softmax(s[others] / 4), softmax(t[others] / 4)
        total = total + sum(q[i] * (q[i] / p[i]).log() for i in range(len(others)))
    return 16 * total / len(student)


def slow_pearson(a: Tensor, b: Tensor) -> Tensor:
    a, b = a - sum(a) / len(a), b - sum(b) / len(b)
    norms = (a**2).sum().sqrt() * (b**2).sum().sqrt()
    return (a * b).sum() / (norms + 1e-8)


def slow_inter(student: Tensor, teacher: Tensor) -> Tensor:
    pairs = zip(student / 4, teacher / 4, strict=True)
    return 16 * sum(1 - slow_pearson(softmax(s), softmax(t)) for s, t in pairs) / len(student)


def slow_intra(student: Tensor, teacher: Tensor) -> Tensor:
    s, t = (torch.stack([softmax(row / 4) for row in x]) for x in (student, teacher))
    classes = s.shape[1]
    return 16 * sum(1 - slow_pearson(s[:, c], t[:, c]) for c in range(classes)) / classes


def slow_ttm(student: Tensor, teacher: Tensor, gamma: float = 0.1) -> Tensor:
    return sum(_powered(s, t, gamma)[1] for s, t in zip(student, teacher, strict=True)) / (
        len(student)
    )


def slow_wttm(student: Tensor, teacher: Tensor) -> Tensor:
    rows = [_powered(s, t, 0.2) for s, t in zip(student, teacher, strict=True)]
    return sum(weight * loss for weight, loss in rows) / len(rows)


def _powered(student: Tensor, teacher: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    p, powers = softmax(student), softmax(teacher) ** gamma
    q = powers / powers.sum()
    return powers.sum(), sum(q[i] * (q[i] / p[i]).log() for i in range(len(q)))


def slow_similarity(student: Tensor, teacher: Tensor) -> Tensor:
    n, grams = len(student), []
    for x in (student.flatten(1), teacher.flatten(1)):
        rows = [torch.stack([(x[i] * x[j]).sum() for j in range(n)]) for i in range(n)]
        grams.append([row / (row**2).sum().sqrt() for row in rows])
    return sum(((a - b) ** 2).sum() for a, b in zip(*grams, strict=True)) / n**2


def slow_neighbours(student: Tensor, teacher: Tensor) -> Tensor:
    n, found = len(student), []
    for x in (student, teacher):
        unit = [row / ((row**2).sum().sqrt() + 1e-7) for row in x]
        cosines = [[((unit[i] * unit[j]).sum() + 1) / 2 for j in range(n)] for i in range(n)]
        found.append([[c / sum(row) for c in row] for row in cosines])
    p, q = found
    total = torch.zeros((), dtype=student.dtype)
    for i in range(n):
        for j in range(n):
            total = total + q[i][j] * ((q[i][j] + 1e-7) / (p[i][j] + 1e-7)).log()
    return total / n**2


def slow_congruence(student: Tensor, teacher: Tensor) -> Tensor:
    apart = [(s - t).abs() for s, t in zip(student, teacher, strict=True)]
    products = [(apart[i] * apart[i + 1]).sum() for i in range(len(apart) - 1)]
    return sum(products) / len(products)


def slow_likelihood(student: Tensor, teacher: Tensor) -> Tensor:
    """With variance 1 + c / 2 in channel c."""
    total = torch.zeros((), dtype=student.dtype)
    for c in range(student.shape[1]):
        variance = torch.tensor(1 + c / 2, dtype=student.dtype)
        squares = (teacher[:, c] - student[:, c]) ** 2
        total = total + (squares / variance + variance.log()).sum() / 2
    return total / student.numel()


def slow_context(student: Tensor, teacher: Tensor) -> Tensor:
    """Of maps of 8 x 8: scales 8, 4, 2, 1 with weights 1, 1/2, 1/4, 1/8 over their sum."""
    total = torch.zeros((), dtype=student.dtype)
    for size, weight in ((8, 1.0), (4, 0.5), (2, 0.25), (1, 0.125)):
        total = total + weight * slow_hint(slow_pool(student, size), slow_pool(teacher, size))
    return total / 1.875


def slow_contrast(student: Tensor, teacher: Tensor) -> Tensor:
    """Of each row with all rows of the other network, the first the positive; 20 images."""
    count = len(teacher)
    noise = (count - 1) / 20
    total = torch.zeros((), dtype=student.dtype)
    for s in student:
        for j, t in enumerate(teacher):
            norms = (s**2).sum().sqrt() * (t**2).sum().sqrt()
            score = ((s * t).sum() / norms / 0.07).exp()
            share = score if j == 0 else torch.tensor(noise, dtype=score.dtype)
            total = total - (share / (score + noise + 1e-7)).log()
    return total / len(student)
