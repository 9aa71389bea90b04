"""What the names in the settings mean, in a sentence each, for every screen that offers a choice."""

from __future__ import annotations

WEIGHTINGS: dict[str, str] = {
    "agent": "Hospitals try candidate weights on their validation pairs; weights move only as far as the evidence goes.",
    "samples": "Each hospital counts by its share of the training pairs.",
    "equal": "Every hospital counts the same.",
    "inverse_loss": "A hospital with a lower training loss, as it reports it, counts more.",
    "loss_variance": "By training pairs over loss times (1 + variance), as the hospitals report them.",
    "fedlaw": "Weights and step size are learned by gradient steps on the hospitals' validation pairs.",
    "median": "Each number of the adapter is the median over hospitals; the weight is how often a hospital's was it.",
    "trimmed_mean": "Each number of the adapter is a mean without its largest and smallest value.",
    "krum": "The one update closest to its nearest neighbours is taken, the others are not.",
    "geometric_median": "The point with the least total distance to all updates: the farther one is off, the less it counts.",
}
COMBINE_RULES: dict[str, str] = {
    "exact": "The weighted sum of the products B·A, brought back to the adapter's rank with the least possible error.",
    "factors": "A and B are averaged separately; the average of products is missed by a little.",
    "stacked": "The exact sum is kept at a higher rank and frozen; hospitals train a fresh adapter on top of it.",
    "frozen_a": "Only B is trained and averaged, A stays as it was drawn; exact, and half the bytes.",
    "alternate": "B is trained in odd rounds, A in even ones; exact, and half the bytes.",
}
TRUST: dict[str, str] = {
    "hospitals": "Hospitals evaluate. They see each other's adapters for it; the coordinator learns losses, never a pair.",
    "coordinator": "The coordinator evaluates on public pairs. Hospitals see the global adapter alone; the judgement is weaker.",
    "fixed": "Nobody evaluates: weights follow the pair counts, as secure aggregation needs. Bad updates are not noticed.",
}
