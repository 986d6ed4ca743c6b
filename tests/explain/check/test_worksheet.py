"""Worksheets: the published examples, reading, and what is wrong with a bad one (SPEC C13, X3)."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.explain.check.report import as_claimed
from deltarule.explain.check.worksheet import check_worksheet, last_digit, worksheet_schema
from deltarule.explain.network_file import published

SHEET: dict[str, Any] = {
    "name": "one neuron",
    "network": {"sizes": [2, 1], "activations": ["sigmoid"], "loss": "log_loss", "bias": True},
    "weights": [[[0.5], [-0.25]]],
    "biases": [[0.1]],
    "inputs": [[1, 2]],
    "targets": [[1]],
    "learning_rate": 0.5,
    "claims": {
        "z": [["0.1"]],
        "a": [["0.525"]],
        "delta": [["-0.475"]],
        "new_weights": [[["0.738"], ["0.225"]]],
        "new_biases": [["0.338"]],
    },
}


def sheet(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(SHEET) | changes


def claiming(**changes: Any) -> dict[str, Any]:
    return sheet(claims=copy.deepcopy(SHEET["claims"]) | changes)


# -- the published examples -----------------------------------------------------------------------


def test_document_c_took_the_other_slope_and_the_weight_for_the_rate() -> None:
    report = check_worksheet("yehoshua")
    assert not report.ok
    first = report.first_error
    assert first is not None
    assert (first.quantity, first.layer, first.index) == ("delta", 2, (1,))
    assert first.claimed == "-0.0823"
    assert first.expected == pytest.approx(-0.049681742967923215, rel=1e-12)
    assert [(one.code, one.layer) for one in report.mistakes] == [
        ("slope_of_other_node", 2),
        ("learning_rate_replaced_by_weight", None),
    ]
    assert "node 2 took the slope of node 1" in report.mistakes[0].sentence
    assert not report.unexplained
    carried = {(one.quantity, one.layer) for one in report.followers}
    assert ("delta", 1) in carried
    after = next(one for one in report.followers if one.quantity == "output_after")
    assert after.claimed == "0.7043"
    assert after.expected == pytest.approx(0.6980763065856341, rel=1e-12)
    assert "is 0.7043; right is 0.6981" in report.to_text()


def test_mazur_went_back_through_updated_weights() -> None:
    report = check_worksheet(published("mazur"))
    assert [(one.quantity, one.claimed) for one in report.wrong] == [("loss_after", "0.291027924")]
    assert report.wrong[0].expected == pytest.approx(0.29102777369359933, rel=1e-12)
    assert not report.followers
    assert [one.code for one in report.mistakes] == ["updated_weights_backward"]


def test_gashler_is_right_to_the_last_digit() -> None:
    report = check_worksheet("gashler")
    assert report.ok
    assert report.checked == 21
    assert report.first_error is None
    assert report.mistakes == []


# -- reading --------------------------------------------------------------------------------------


def test_a_right_sheet_is_right() -> None:
    assert dr.check_worksheet(SHEET).ok


def test_error_is_minus_delta() -> None:
    claims = copy.deepcopy(SHEET["claims"])
    del claims["delta"]
    assert check_worksheet(sheet(claims=claims | {"error": [["0.475"]]})).ok
    wrong = check_worksheet(sheet(claims=claims | {"error": [["-0.475"]]}))
    assert wrong.first_error is not None
    assert wrong.first_error.quantity == "delta"
    assert wrong.first_error.claimed == "0.475"
    assert wrong.mistakes[0].code == "output_error_sign"


def test_of_equals_the_plain_mistake_is_told_first() -> None:
    # with a slope at the output, y - o gives the numbers of the slope a (a - 1) as well
    squared = sheet(
        network=SHEET["network"] | {"loss": "squared_error"}, claims={"delta": [["0.1185"]]}
    )
    first = check_worksheet(squared).mistakes[0]
    assert first.code == "output_error_sign"
    assert "wrong_slope_formula" in [one.code for one in first.alternatives]


def test_yaml_and_toml_say_the_same(tmp_path: Any) -> None:
    import yaml

    path = tmp_path / "sheet.yaml"
    path.write_text(yaml.safe_dump(SHEET))
    assert check_worksheet(path).to_dict() == check_worksheet(SHEET).to_dict()
    text = """
name = "one neuron"
weights = [[[0.5], [-0.25]]]
biases = [[0.1]]
inputs = [[1, 2]]
targets = [[1]]
learning_rate = 0.5
[network]
sizes = [2, 1]
activations = ["sigmoid"]
loss = "log_loss"
bias = true
[claims]
z = [["0.1"]]
a = [["0.525"]]
"""
    other = tmp_path / "sheet.toml"
    other.write_text(text)
    assert check_worksheet(other).checked == 2


@pytest.mark.parametrize(
    ("text", "unit"), [("0.50", 0.01), ("7", 1.0), ("-1.5e-3", 1e-4), ("2E2", 100.0)]
)
def test_the_last_digit_is_the_precision(text: str, unit: float) -> None:
    assert last_digit(text) == pytest.approx(unit)


def test_more_digits_are_held_to_more(tmp_path: Any) -> None:
    assert check_worksheet(claiming(a=[["0.52"]])).ok
    assert not check_worksheet(claiming(a=[["0.52000"]])).ok


WHOLE: dict[str, Any] = {
    "network": {"sizes": [2, 2, 1], "activations": ["relu", "identity"], "loss": "squared_error"},
    "weights": [[[1, 2], [-1, 1]], [[2], [-1]]],
    "biases": [[0, 1], [0]],
    "inputs": [[2, 1]],
    "targets": [[2]],
}


def test_whole_numbers_are_not_one_off() -> None:
    right = {"z": [[1, 6], [-4]], "loss": 18, "delta": [[-12, 6], [-6]]}
    assert check_worksheet(WHOLE | {"claims": right}).ok
    # the bias of 1 is forgotten, and carried on rightly
    slip = {"z": [[1, 5], [-3]], "a": [[1, 5], [-3]], "delta": [[-10, 5], [-5]]}
    report = check_worksheet(WHOLE | {"claims": slip})
    assert [(one.quantity, one.index) for one in report.wrong] == [("z", (1,))]
    assert len(report.followers) == 6
    # a second slip, of one unit, is told from what follows
    report = check_worksheet(WHOLE | {"claims": slip | {"delta": [[-10, 4], [-5]]}})
    assert [(one.quantity, one.layer) for one in report.wrong] == [("z", 1), ("delta", 1)]


@pytest.mark.parametrize(
    ("claims", "ok"),
    [
        ({"a": [["0.5"]]}, True),  # 0.5250 rounded to one digit
        ({"a": [["0.6"]]}, False),
        ({"z": [["0.2"]]}, False),  # 0.1 is right: one unit is too much
        ({"loss": "0.7"}, True),  # 0.6444, or 0.6931 from a = 0.5
        ({"loss": "0.9"}, False),
        ({"a": [["0.5250"]], "delta": [["-0.4750"]], "new_biases": [["0.3375"]]}, True),
        ({"a": [["0.5249"]]}, True),  # cut off
        ({"a": [["0.525"]], "delta": [[0]]}, False),  # not the 0 of -0.475 rounded to no decimals
        ({"a": [["0.525"]], "delta": [["-0"]]}, False),
    ],
)
def test_a_printed_number_is_rounded_or_cut_off(claims: dict[str, Any], ok: bool) -> None:
    assert check_worksheet(sheet(claims=claims)).ok is ok


def test_what_one_digit_shows_exactly_is_not_rounded() -> None:
    half = sheet(weights=[[[0.5], [-0.3]]])  # z = 0, a = 0.5, neither printed
    assert check_worksheet(half | {"claims": {"error": [["0.5"]]}}).ok
    assert not check_worksheet(half | {"claims": {"error": [["0.6"]]}}).ok


def test_trailing_zeros_of_whole_numbers_are_not_digits() -> None:
    large = sheet(
        network=SHEET["network"] | {"activations": ["identity"], "loss": "squared_error"},
        inputs=[[12345.6, 0]],
        targets=[[0.123]],
        weights=[[[1], [1]]],
        biases=[[0.0]],
    )
    four = {"z": [[12350]], "delta": [["12350"]], "loss": "7.621e7", "new_biases": [["-6173"]]}
    assert check_worksheet(large | {"claims": four}).ok
    assert not check_worksheet(large | {"claims": four | {"z": [[12360]]}}).ok


def test_decimals_that_are_constant_are_not_taken_for_significant_digits() -> None:
    # two digits of small deltas say nothing of the digits of a, which is not printed
    deep = {
        "network": {"sizes": [2, 2, 1], "activations": ["sigmoid"] * 2, "loss": "squared_error"},
        "weights": [[[0.1, 0.2], [0.3, 0.4]], [[0.5], [0.6]]],
        "biases": [[0.1, 0.1], [0.2]],
        "inputs": [[1, 2]],
        "targets": [[1]],
    }
    delta = {"delta": [["-0.0057", "-0.0060"], ["-0.0532"]]}
    assert check_worksheet(deep | {"claims": delta}).ok
    assert not check_worksheet(
        deep | {"claims": {"delta": [["-0.0053", "-0.0060"], ["-0.0532"]]}}
    ).ok


def test_a_unit_that_is_off_is_not_at_the_edge_of_being_on() -> None:
    # a of the relu, exactly 0, is not printed: its slope is 0 all the same
    dead = {
        "network": {"sizes": [1, 2, 1], "activations": ["relu", "sigmoid"], "loss": "log_loss"},
        "weights": [[[-0.37, 0.61]], [[0.5], [0.3]]],
        "inputs": [[1.1]],
        "targets": [[1]],
    }
    claims = {"z": [["-0.4070", "0.6710"], ["0.2013"]], "delta": [["0.0000", "-0.1349"], None]}
    assert check_worksheet(dead | {"claims": claims}).ok
    claims["delta"] = [["-0.2249", "-0.1349"], None]
    report = check_worksheet(dead | {"claims": claims})
    assert [(one.quantity, one.index) for one in report.wrong] == [("delta", (0,))]


def test_a_minus_sign_of_a_document_is_one() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    copied = claiming(delta=[["\N{MINUS SIGN}0.475"]])
    assert check_worksheet(copied).ok
    jsonschema.validate(copied, worksheet_schema())
    wrong = check_worksheet(claiming(delta=[["\N{MINUS SIGN}0.575"]]))
    assert wrong.first_error is not None
    assert wrong.first_error.claimed == "-0.575"


def test_a_batch_has_rows() -> None:
    many = sheet(inputs=[[1, 2], [0, 1]], targets=[[1], [0]], claims={"z": [[["0.1"], ["-0.15"]]]})
    assert check_worksheet(many).ok


@pytest.mark.parametrize("name", ["yehoshua", "mazur", "gashler"])
def test_the_schema_takes_the_published_examples(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(worksheet_schema())
    jsonschema.validate(json.loads(published(name).read_text()), worksheet_schema())


@pytest.mark.parametrize(
    "bad",
    [sheet(claims={}), sheet(extra=1), claiming(z=[["one"]]), claiming(zz=[]), sheet(weights=1)],
)
def test_the_schema_refuses_what_the_reader_refuses(bad: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, worksheet_schema())
    with pytest.raises(dr.SpecError):
        check_worksheet(bad)


def test_momentum_and_dropout_of_a_sheet() -> None:
    claims = {"new_weights": [[["0.828"], ["0.405"]]], "delta": [["-0.475"]]}
    velocity = {"weights": [[["0.1"], [0.2]]], "biases": [[0.5]]}
    moving = sheet(momentum=0.9, velocity=velocity, claims=claims)
    assert check_worksheet(moving).ok
    claims["new_weights"] = [[["0.648"], ["0.045"]]]
    assert check_worksheet(moving).mistakes[0].code == "momentum_sign"
    with pytest.raises(dr.SpecError, match="velocity: missing"):
        check_worksheet(sheet(momentum=0.9))
    with pytest.raises(dr.SpecError, match=r"velocity.biases\[0\]: a list of 1 is needed"):
        check_worksheet(moving | {"velocity": velocity | {"biases": [[1, 2]]}})
    with pytest.raises(dr.SpecError, match=r"dropout_masks\[0\]\[0\]: a list of 2 is needed"):
        check_worksheet(sheet(dropout_masks=[[[1]], None]))


# -- bad worksheets -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (sheet(claims=None), "claims: missing"),
        (sheet(claims={}), "nothing is claimed"),
        (sheet(claims={"z": [[None]]}), "nothing is claimed"),
        (sheet(inputs=None), "inputs: missing"),
        (sheet(learning_rate=None), "learning_rate: missing: claims.new_biases needs it"),
        (claiming(zz=[["1"]]), "claims.zz: unknown"),
        (claiming(z=[["1", "2"]]), r"claims.z\[0\]: a list of 1 is needed, got a list of 2"),
        (claiming(z=["1", "2"]), "claims.z: a list of 1 entries"),
        (claiming(z=[["one"]]), r"claims.z\[0\]\[0\]: a number or null is needed, got 'one'"),
        (claiming(new_weights=[[["1"]]]), r"claims.new_weights\[0\]: a list of 2 is needed"),
        (claiming(error=[["0.4"]]), "delta and error"),
        (sheet(reduction="median"), "reduction: mean or sum is needed"),
        (sheet(l2=-1), "l2: a number >= 0"),
    ],
)
def test_a_bad_sheet_is_told_where(bad: dict[str, Any], says: str) -> None:
    with pytest.raises(dr.SpecError, match=says):
        check_worksheet(bad)


@pytest.mark.parametrize("most", [0, 1.5, "2", None])
def test_mistakes_of_an_explanation_are_counted(most: Any) -> None:
    for check in (
        lambda: check_worksheet("mazur", most_mistakes=most),
        lambda: dr.check_implementation(lambda *a: None, most_mistakes=most),
    ):
        with pytest.raises(dr.SpecError, match="most_mistakes must be a whole number >= 1"):
            check()


def test_the_file_is_named(tmp_path: Any) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(claiming(z=[["one"]])))
    with pytest.raises(dr.SpecError, match=r"bad\.json: claims"):
        check_worksheet(path)


# -- reports --------------------------------------------------------------------------------------


def test_reports_for_programs_and_people() -> None:
    report = check_worksheet("yehoshua")
    told = json.loads(report.to_json())
    assert told["first_error"]["claimed"] == "-0.0823"
    assert told["ok"] is False
    page = report.to_html()
    assert page.startswith("<!doctype html>")
    assert "://" not in page
    for text in (report.to_text(), report.to_markdown(), page):
        assert "took the slope of node 1" in text
        assert "0.8569" in text


@pytest.mark.parametrize(
    ("value", "claimed", "text"),
    [
        (-0.04968, "-0.0823", "-0.0497"),
        (0.03642, "1e308", "0.03642"),
        (12.5, "8", "12.5"),
        (6.0, "5", "6"),
        (0.49991, "0.5", "0.4999"),  # with fewer decimals it could not be told from it
        (-0.00569, "0.0", "-0.0057"),
        (0.3, "nan", "0.3"),
        (0.0, "0.25", "0.00"),
        (3e-20, "0.01", "3e-20"),
        (12345.6, "12350", "12346"),
    ],
)
def test_the_right_number_is_shown_beside_the_claimed_one(
    value: float, claimed: str, text: str
) -> None:
    assert as_claimed(value, claimed, apart=True) == text


def test_what_follows_is_shown_as_it_is_claimed() -> None:
    assert as_claimed(0.703, "0.70") == "0.70"
    assert as_claimed(-0.0001, "0.00") == "0.00"


def test_counts_of_one_are_singular() -> None:
    one = sheet(claims={"a": [["0.525"]]})
    assert "The one number is right." in check_worksheet(one).to_text()
    wrong = check_worksheet(claiming(a=[["0.626"]], delta=[["-0.374"]], new_weights=None))
    assert "1 that merely follows from wrong ones" in wrong.to_text()


def test_what_explains_a_part_says_of_how_many() -> None:
    # the update was added, and the bias is a slip that no mistake explains
    claims = {"new_weights": [[["0.262"], ["-0.725"]]], "new_biases": [["0.9999"]]}
    report = check_worksheet(sheet(claims=SHEET["claims"] | claims))
    assert [one.code for one in report.mistakes] == ["gradient_added"]
    assert [one.quantity for one in report.unexplained] == ["new_biases"]
    for text in (report.to_text(), report.to_markdown(), report.to_html()):
        assert "What explains 2 of the 3 wrong numbers" in text


def test_one_number_met_by_chance_explains_nothing() -> None:
    # a slip in each; among hundreds of mistakes some come near to one of three short numbers
    slips = claiming(a=[["0.61"]], delta=[["-0.2"]], loss="0.9", new_weights=None, new_biases=None)
    report = check_worksheet(slips)
    assert len(report.wrong) == 3
    assert report.mistakes == []
    assert len(report.unexplained) == 3


def test_one_number_met_to_many_digits_explains_itself() -> None:
    z, y = 0.1, 1
    a = 1 / (1 + np.exp(-z))
    slope_twice = f"{(a - y) * a * (1 - a):.8f}"  # once too often, for a fused pair
    sure = {"z": [["0.1"]], "a": [["0.52497919"]], "delta": [[slope_twice]], "loss": "0.77777777"}
    report = check_worksheet(sheet(claims=sure))
    assert {"slope_twice"} <= {
        one.code for found in report.mistakes for one in (found, *found.alternatives)
    }
    assert [one.quantity for one in report.unexplained] == ["loss"]


def test_a_long_report_is_cut_in_texts_and_whole_elsewhere() -> None:
    wide = {
        "network": {"sizes": [8, 10], "activations": ["identity"], "loss": "squared_error"},
        "weights": np.zeros((1, 8, 10)),
        "inputs": np.arange(1.0, 9.0),
        "targets": np.arange(10.0),
        "claims": {"weight_gradients": np.full((1, 8, 10), 77.25)},
    }
    report = check_worksheet(wide)
    assert len(report.unexplained) == 80
    text = report.to_text()
    assert "  70 more\n" in text
    assert "... and 20 more" in text
    assert "... and 20 more" in report.to_markdown()
    assert report.to_html().count('<span class="bad">wrong</span>') == 80


def test_html_is_escaped() -> None:
    page = check_worksheet(claiming(a=[["0.6"]]) | {"name": "<script>"}).to_html()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_nothing_fits_is_said() -> None:
    report = check_worksheet(claiming(a=[["0.7777"]]))
    assert report.unexplained
    assert "No mistake of the catalogue explains" in report.to_text()
