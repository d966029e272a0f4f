"""One definition of every figure: the page, the sheets, MLflow's descriptions and the docs quote it."""

from __future__ import annotations

from dataclasses import dataclass

from src.evaluation.sheet_terms import SHEET_TERMS


@dataclass(frozen=True)
class Term:
    """A figure and what it is.

    Attributes
    ----------
    name : str
        Its column in the tables.
    title : str
        As pages write it.
    definition : str
        One or two short sentences, under 36 words in all.
    """

    name: str
    title: str
    definition: str


def term(name: str) -> Term:
    """Look up a figure.

    Parameters
    ----------
    name : str
        Its column in the tables.

    Returns
    -------
    Term

    Raises
    ------
    KeyError
        Where the glossary has no such figure.
    """
    return _BY_NAME[name]


def definition(name: str) -> str:
    """Give the definition of a figure.

    Parameters
    ----------
    name : str
        Its column in the tables.

    Returns
    -------
    str
        Empty where the glossary has no such figure.
    """
    found = _BY_NAME.get(name)
    return found.definition if found else ""


GRADE_TERMS = (
    Term(
        "auc", "AUC", "Probability that a bar that rose has a higher score than a bar that fell; 0.5 is no information."
    ),
    Term(
        "accuracy", "accuracy", "Share of bars whose direction was predicted correctly, at a probability of one half."
    ),
    Term("majority_accuracy", "majority", "Accuracy of always predicting the more common direction of the same bars."),
    Term(
        "sharpe",
        "Sharpe ratio",
        "Mean over standard deviation of daily net returns, annualised (252 bars; crypto 365), flat days included, "
        "cash at zero.",
    ),
    Term(
        "max_drawdown",
        "max drawdown",
        "Deepest fall of net equity from a peak, as a share of that peak. The start counts as a peak.",
    ),
    Term(
        "buy_hold_sharpe",
        "always long",
        "Sharpe ratio of holding the instrument on the same days, with the same sizing and costs, without a model.",
    ),
    Term(
        "unsized_drawdown",
        "unsized drawdown",
        "Deepest fall of the same positions held at full size, without scaling to a target volatility.",
    ),
    Term(
        "active_sharpe",
        "active Sharpe",
        "Sharpe ratio of the active return: the strategy less its mean exposure times always long.",
    ),
    Term(
        "active_return",
        "active return",
        "Return of the strategy less its mean exposure times always long: what timing adds to holding.",
    ),
    Term("turnover", "turnover", "Position changes traded per year, as a multiple of equity."),
    Term("passed", "passed", "Clears all four thresholds: AUC, accuracy, Sharpe ratio and drawdown."),
    Term("registrable", "registrable", "Passed, with enough out-of-sample bars, and not flagged."),
    Term(
        "champion",
        "champion",
        "The registered version that an instrument's, or a portfolio's, decisions come from; made by promotion.",
    ),
    Term("reasons", "misses", "The thresholds that the run misses, with its values."),
    Term(
        "suspicious",
        "flagged",
        "Better than this kind of data allows, or gone one bar later, or passed on repaired or stale prices. Never "
        "registered until a person clears it.",
    ),
    Term(
        "n_oos",
        "bars out of sample",
        "Out-of-sample bars: each predicted by a model that was fitted on earlier bars only.",
    ),
    Term("first_oos", "first day", "First out-of-sample day."),
    Term("last_oos", "last day", "Last out-of-sample day."),
    Term("family", "family", "Kind of model, such as LightGBM, XGBoost or CatBoost."),
    Term(
        "late_auc",
        "AUC a bar late",
        "AUC with every prediction used one bar late. Data that look ahead lose most of it.",
    ),
    Term("late_sharpe", "Sharpe a bar late", "Sharpe ratio with every decision carried out one bar late."),
)
EVIDENCE_TERMS = (
    Term(
        "luck_rate",
        "luck rate",
        "Share of circular shifts of the run's predictions against its returns that pass: how often the same model "
        "would pass without skill.",
    ),
    Term("z", "z", "The run's AUC minus the mean AUC of its shifted copies, divided by their standard deviation."),
    Term(
        "p_value",
        "p-value",
        "Chance of an AUC this far above that of its shifted copies without skill, by Student's t. It is 1 where there "
        "are too few bars to register.",
    ),
    Term(
        "sharpe_p_value",
        "p of Sharpe",
        "Chance of a Sharpe ratio this far above those of the run's shifted copies without skill, net of costs.",
    ),
    Term(
        "q_value",
        "q-value",
        "Benjamini-Hochberg over all graded instruments, each charged for its trials: of those below 0.10, at most "
        "about one in ten is luck.",
    ),
    Term(
        "deflated_sharpe",
        "deflated Sharpe",
        "Probability that the true Sharpe ratio of the active return exceeds what the best of the trials would show "
        "without skill (Bailey and Lopez de Prado 2014).",
    ),
    Term(
        "deflated_luck_rate",
        "deflated luck rate",
        "Share of the shifted copies that pass and reach a deflated Sharpe ratio of 0.95.",
    ),
    Term(
        "stepdown_p",
        "stepdown p",
        "Chance that any run of the session has a z this high without skill, once the runs with a higher z are set "
        "aside (Romano and Wolf 2005).",
    ),
    Term(
        "n_trials", "trials", "Distinct models ever graded on the instrument's out-of-sample bars, over all sessions."
    ),
    Term(
        "tuning_trials",
        "tuning trials",
        "Settings tried inside the first training window before this one was selected.",
    ),
    Term(
        "expected_lucky_passes",
        "expected by luck",
        "Sum of the luck rates. Its 90% range comes from shifts common to all runs, since instruments move together.",
    ),
    Term(
        "overfitting",
        "chance of overfitting",
        "Chance that the setting that is best on one half of the days is below the middle on the other half; 0.5 means "
        "that choosing the best says nothing.",
    ),
    Term("placebo", "placebo", "Models trained once more on features rotated in time, which can't foretell anything."),
)
POOLED_TERMS = (
    Term(
        "pooled_auc",
        "AUC and accuracy, pooled",
        "Of the sign of the neutralised outcome: above the median of the names of like volatility on that day, over "
        "all names and days.",
    ),
    Term(
        "draws",
        "luck rate, pooled",
        "Share of draws without skill that pass: the scores moved in time and between names of like volatility, "
        "traded at the same costs.",
    ),
    Term(
        "ic",
        "rank IC",
        "Rank correlation of a day's scores and outcomes, both free of beta, volatility and size; its mean.",
    ),
    Term(
        "ic_t",
        "t of the IC",
        "Mean IC over its standard error, which allows for overlapping outcomes (Newey and West).",
    ),
    Term("ic_p", "p of the IC", "Chance of such a mean IC without skill."),
    Term("net_t", "t of the net return", "Mean net return over its standard error, by resampling blocks of days."),
    Term(
        "net_p", "p of the net return", "Chance of such a mean net return without skill, by resampling blocks of days."
    ),
    Term("adjusted_t", "t after trials", "The t of the net return once the number of recipes tried is allowed for."),
    Term("adjusted_p", "p after trials", "The p of the net return times the number of recipes tried, at most 1."),
    Term("weak", "weak", "The t of the net return is below 3 once the number of recipes tried is allowed for."),
    Term(
        "sharpe_low", "Sharpe, low", "Lower end of the 90% interval of the Sharpe ratio, by resampling blocks of days."
    ),
    Term(
        "sharpe_high",
        "Sharpe, high",
        "Upper end of the 90% interval of the Sharpe ratio, by resampling blocks of days.",
    ),
    Term("low_volatility_auc", "low-volatility AUC", "AUC of sorting by low volatility without any model."),
    Term("gross_sharpe", "Sharpe before costs", "Sharpe ratio of the same positions before costs and borrowing."),
    Term("cost_a_year", "costs a year", "Trading costs of a mean year, as a share of equity."),
    Term(
        "borrow_a_year",
        "borrowing a year",
        "Assumed cost of borrowing what is short in a mean year, as a share of equity.",
    ),
    Term("break_even_bps", "break-even", "Cost of each unit traded, in basis points, at which nothing is left."),
    Term("capacity", "capacity", "Equity at which the portfolio would trade the allowed share of each name's volume."),
    Term("beta", "beta", "Exposure to the mean of all eligible names; 0 moves without the market."),
    Term(
        "volatility_exposure",
        "volatility exposure",
        "Mean volatility rank of what is long less that of what is short, -1 to 1.",
    ),
    Term(
        "size_exposure",
        "size exposure",
        "Mean rank by traded value of what is long less that of what is short, -1 to 1.",
    ),
    Term("gross_exposure", "gross exposure", "Sum of the absolute weights, as a share of equity; mean of the days."),
    Term(
        "net_exposure", "net exposure", "Sum of the weights, long less short, as a share of equity; mean of the days."
    ),
    Term("names", "names", "Instruments held on a mean day."),
    Term("instrument_days", "instrument-days", "Out-of-sample predictions: one for each eligible name and day."),
    Term(
        "prior_trials",
        "prior trials",
        "Recipes tried on other data before this one was chosen (docs/skill.md), which the trials include.",
    ),
    Term(
        "luck_turnover", "turnover of luck", "Turnover of the draws without skill; it should be near that of the run."
    ),
    Term(
        "score_group", "score group", "Names of a day grouped by score, the first group lowest, each equally weighted."
    ),
)
_CURVES = (
    Term("net", "net", "Return or equity after all costs."),
    Term("gross", "before costs", "Return or equity before costs."),
    Term("total_return", "total return", "Growth of net equity over all out-of-sample days."),
    Term("annual_return", "annual return", "Net growth a year, compounded."),
    Term("annual_volatility", "annual volatility", "Standard deviation of daily net returns, annualised."),
    Term("sortino", "Sortino ratio", "Mean daily net return over the deviation of its losses, annualised."),
    Term("calmar", "Calmar ratio", "Annual return over the deepest drawdown."),
    Term("omega", "Omega ratio", "Sum of the gains over the sum of the losses, of daily net returns."),
    Term("tail_ratio", "tail ratio", "The 95% quantile of daily net returns over the size of the 5% quantile."),
    Term("stability", "stability", "R squared of a straight line through cumulative log returns; 1 grows evenly."),
    Term("value_at_risk", "value at risk", "The 5% quantile of daily net returns: one day in twenty is worse."),
    Term("expected_shortfall", "expected shortfall", "Mean of the worst 5% of daily net returns."),
    Term("skew", "skewness", "Asymmetry of daily net returns; below zero, large losses outweigh large gains."),
    Term("kurtosis", "excess kurtosis", "Weight of the tails of daily net returns; 0 is that of a normal law."),
    Term("exposure", "exposure", "Position as a share of equity; its mean, flat days included."),
    Term("time_in_market", "time in market", "Share of days with a position."),
    Term("hit_rate", "winning days", "Share of the days with a position whose net return is above zero."),
    Term("best_day", "best day", "Highest daily net return."),
    Term("worst_day", "worst day", "Lowest daily net return."),
    Term("cost", "cost", "Trading cost of the day, as a share of equity."),
    Term("rolling_sharpe", "rolling Sharpe", "Sharpe ratio of the last year of daily net returns."),
    Term("rolling_auc", "rolling AUC", "AUC of the last year of predictions."),
    Term("drawdown", "drawdown", "Net equity below its highest value so far, as a share of that value."),
    Term(
        "calibration",
        "calibration",
        "Share that rose among bars of like predicted probability; on the diagonal, the model means what it says.",
    ),
    Term("contribution", "contribution", "SHAP value: what a feature adds to one prediction, in log-odds."),
    Term("gain", "gain", "Share of the improvement of all splits that use the feature, averaged over folds."),
    Term("fold", "fold", "One step of the walk-forward: a model fitted on earlier bars, and the bars it predicts."),
    Term("alpha", "alpha", "Annual return that the benchmark's moves leave unexplained."),
    Term("benchmark", "benchmark", "What one would have held instead, on the same days."),
    Term("trade", "trade", "From the first bar of a position to the bar on which it is flat or changes its side."),
)
TERMS: tuple[Term, ...] = (
    *GRADE_TERMS,
    *EVIDENCE_TERMS,
    *POOLED_TERMS,
    *_CURVES,
    *(Term(*each) for each in SHEET_TERMS),
)
_BY_NAME = {each.name: each for each in TERMS}
