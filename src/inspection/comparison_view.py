"""A comparison of two sets of features, for a person."""

from __future__ import annotations

from collections.abc import Iterator

from src.inspection.comparison import MEASURES, FeatureComparison


def lines(found: FeatureComparison, scope: str, dataset: str) -> Iterator[str]:
    """Write a comparison for a person: what was compared, one line a measure, and each quarter.

    Parameters
    ----------
    found : FeatureComparison
    scope, dataset : str

    Yields
    ------
    str
        Lines without control characters.
    """
    what = "portfolio" if scope == "pooled" else "instrument"
    first = found.quarters["quarter"].to_list()[:1]
    span = f"{found.quarters.height} quarters from {first[0]} on" if first else "no quarter"
    yield (
        f"features={found.other} against features={found.base} on {dataset}, scope={scope}: {found.pairs:,} pairs of "
        f"runs ({found.instruments:,} {what}{'s' if found.instruments != 1 else ''}), {span}"
    )
    if found.left_out:
        noun = "pair is" if found.left_out == 1 else "pairs are"
        yield f"{found.left_out:,} {noun} left out{f': {found.reason}' if found.reason else ''}"
    yield f"{'':20}{found.base:>16}{found.other:>16}{'difference':>13}   95% interval over quarters"
    for measure, title in MEASURES.items():
        if (figures := found.interval(measure)) is not None:
            base, other, gain, low, high = figures
            yield f"{title:20}{base:16.4f}{other:16.4f}{gain:+13.4f}   {low:+.4f} to {high:+.4f}"
    yield f"{'thresholds cleared':20}{found.passed[0]:16,}{found.passed[1]:16,}{found.passed[1] - found.passed[0]:+13,}"
    measures = [name.removesuffix("_base") for name in found.quarters.columns if name.endswith("_base")]
    yield "by quarter: " + ", ".join(f"{MEASURES[each]} {found.base} and {found.other}" for each in measures)
    for row in found.quarters.iter_rows(named=True):
        values = [
            f"{row[f'{m}_{side}']:9.4f}" if row[f"{m}_{side}"] is not None else f"{'-':>9}"
            for m in measures
            for side in ("base", "other")
        ]
        yield f"  {row['quarter']}  {row['pairs']:6,} pairs {''.join(values)}"


def verdict(found: FeatureComparison) -> str:
    """Say what the comparison shows, in one sentence.

    Parameters
    ----------
    found : FeatureComparison
    """
    shown = []
    for measure, title in MEASURES.items():
        if (figures := found.interval(measure)) is not None:
            low, high = figures[3:]
            word = "raises" if low > 0 else "lowers" if high < 0 else "shows no difference in"
            shown.append(f"{word} {title} ({figures[2]:+.4f}, 95% {low:+.4f} to {high:+.4f})")
    if not shown:
        return f"features={found.other}: fewer than three quarters, too few to say anything"
    return f"features={found.other} {', '.join(shown)}: over {found.quarters.height} quarters, {found.pairs:,} pairs"
